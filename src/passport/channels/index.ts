export { type ChannelOrder, entriesOf, permuteChannels, rowsOf, scaleChannels } from "./apply";
export { checkChannels } from "./check";
export { channelsIn, channelsOf } from "./groups";
export type {
  ChannelGroup,
  ChannelMember,
  ChannelPart,
  ChannelRun,
  Channels,
  FactorGroup,
  FactorMember,
} from "./types";

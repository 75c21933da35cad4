export { type ChannelOrder, entriesOf, permuteChannels, rowsOf, scaleChannels } from "./apply";
export { checkChannels } from "./check";
export {
  type ChannelGroup,
  type ChannelMember,
  type ChannelPart,
  type ChannelRun,
  type Channels,
  channelsIn,
  channelsOf,
  type FactorGroup,
  type FactorMember,
} from "./groups";

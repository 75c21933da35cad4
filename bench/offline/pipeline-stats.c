/*
 * Compiles compute shaders for the first Vulkan device there is, which may be one that this machine
 * does not have: Mesa's RADV makes pipelines for "null hardware" (RADV_FORCE_FAMILY). Nothing is
 * run.
 *
 *     pipeline-stats FILE.spv...
 *
 * Prints a JSON object a line: the file, the size of a subgroup, and all statistics of the driver
 * by its own names; or the file and the driver's error. Writes the machine code beside each file,
 * as FILE.spv.s. Shaders may use bindings 0 to 15 of set 0 as storage buffers, and 128 bytes of push
 * constants; their entry point has the name that Dawn gives it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vulkan/vulkan.h>

#define ENTRY_POINT "dawn_entry_point"
#define BINDINGS 16
#define PUSH_CONSTANTS 128
#define MOST 64

static VkDevice device;
static VkPipelineLayout layout;
static PFN_vkGetPipelineExecutablePropertiesKHR get_properties;
static PFN_vkGetPipelineExecutableStatisticsKHR get_statistics;
static PFN_vkGetPipelineExecutableInternalRepresentationsKHR get_representations;

static void demand(VkResult result, const char *what) {
  if (result == VK_SUCCESS) return;
  fprintf(stderr, "%s gave VkResult %d\n", what, result);
  exit(1);
}

/* Opens the device with every feature it has: which ones a shader wants is not known here. */
static void open_device(void) {
  VkApplicationInfo application = {VK_STRUCTURE_TYPE_APPLICATION_INFO, .apiVersion = VK_API_VERSION_1_3};
  VkInstanceCreateInfo instance_info = {VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO, .pApplicationInfo = &application};
  VkInstance instance;
  demand(vkCreateInstance(&instance_info, NULL, &instance), "vkCreateInstance");
  uint32_t count = 1;
  VkPhysicalDevice physical;
  vkEnumeratePhysicalDevices(instance, &count, &physical);
  if (count == 0) {
    fprintf(stderr, "no Vulkan device: VK_DRIVER_FILES and RADV_FORCE_FAMILY name one\n");
    exit(1);
  }
  VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR executable = {
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR};
  VkPhysicalDeviceVulkan13Features f13 = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES, &executable};
  VkPhysicalDeviceVulkan12Features f12 = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES, &f13};
  VkPhysicalDeviceVulkan11Features f11 = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES, &f12};
  VkPhysicalDeviceFeatures2 features = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, &f11};
  vkGetPhysicalDeviceFeatures2(physical, &features);
  float priority = 1;
  VkDeviceQueueCreateInfo queue = {
      VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO, .queueCount = 1, .pQueuePriorities = &priority};
  const char *extensions[] = {VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME};
  VkDeviceCreateInfo device_info = {
      VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, &features, .queueCreateInfoCount = 1, .pQueueCreateInfos = &queue,
      .enabledExtensionCount = 1, .ppEnabledExtensionNames = extensions};
  demand(vkCreateDevice(physical, &device_info, NULL, &device), "vkCreateDevice");
  get_properties = (PFN_vkGetPipelineExecutablePropertiesKHR)vkGetDeviceProcAddr(
      device, "vkGetPipelineExecutablePropertiesKHR");
  get_statistics = (PFN_vkGetPipelineExecutableStatisticsKHR)vkGetDeviceProcAddr(
      device, "vkGetPipelineExecutableStatisticsKHR");
  get_representations = (PFN_vkGetPipelineExecutableInternalRepresentationsKHR)vkGetDeviceProcAddr(
      device, "vkGetPipelineExecutableInternalRepresentationsKHR");
}

static void make_layout(void) {
  VkDescriptorSetLayoutBinding bindings[BINDINGS];
  for (uint32_t i = 0; i < BINDINGS; i++)
    bindings[i] = (VkDescriptorSetLayoutBinding){
        i, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL};
  VkDescriptorSetLayoutCreateInfo set_info = {
      VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO, .bindingCount = BINDINGS, .pBindings = bindings};
  VkDescriptorSetLayout set;
  demand(vkCreateDescriptorSetLayout(device, &set_info, NULL, &set), "vkCreateDescriptorSetLayout");
  VkPushConstantRange range = {VK_SHADER_STAGE_COMPUTE_BIT, 0, PUSH_CONSTANTS};
  VkPipelineLayoutCreateInfo layout_info = {
      VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO, .setLayoutCount = 1, .pSetLayouts = &set,
      .pushConstantRangeCount = 1, .pPushConstantRanges = &range};
  demand(vkCreatePipelineLayout(device, &layout_info, NULL, &layout), "vkCreatePipelineLayout");
}

static uint32_t *read_words(const char *path, size_t *bytes) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) return NULL;
  fseek(file, 0, SEEK_END);
  *bytes = (size_t)ftell(file);
  rewind(file);
  uint32_t *words = malloc(*bytes);
  size_t got = fread(words, 1, *bytes, file);
  fclose(file);
  if (got == *bytes) return words;
  free(words);
  return NULL;
}

static void print_statistics(const VkPipelineExecutableInfoKHR *of) {
  VkPipelineExecutableStatisticKHR statistics[MOST];
  uint32_t count = MOST;
  for (uint32_t i = 0; i < count; i++)
    statistics[i] = (VkPipelineExecutableStatisticKHR){VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR};
  get_statistics(device, of, &count, statistics);
  for (uint32_t i = 0; i < count; i++)
    printf(",\"%s\":%llu", statistics[i].name, (unsigned long long)statistics[i].value.u64);
}

/* The driver tells several stages of its work; the machine code is the one it calls Assembly. */
static void write_assembly(const VkPipelineExecutableInfoKHR *of, const char *path) {
  VkPipelineExecutableInternalRepresentationKHR texts[MOST];
  uint32_t count = MOST;
  for (uint32_t i = 0; i < count; i++)
    texts[i] = (VkPipelineExecutableInternalRepresentationKHR){
        VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INTERNAL_REPRESENTATION_KHR};
  demand(get_representations(device, of, &count, texts), "vkGetPipelineExecutableInternalRepresentationsKHR");
  for (uint32_t i = 0; i < count; i++) texts[i].pData = malloc(texts[i].dataSize);
  demand(get_representations(device, of, &count, texts), "vkGetPipelineExecutableInternalRepresentationsKHR");
  char name[4096];
  snprintf(name, sizeof name, "%s.s", path);
  for (uint32_t i = 0; i < count; i++) {
    if (strcmp(texts[i].name, "Assembly") == 0) {
      FILE *file = fopen(name, "w");
      if (file == NULL) demand(VK_ERROR_UNKNOWN, name);
      fputs(texts[i].pData, file);
      fclose(file);
    }
    free(texts[i].pData);
  }
}

static void compile(const char *path) {
  size_t bytes;
  uint32_t *words = read_words(path, &bytes);
  if (words == NULL) demand(VK_ERROR_UNKNOWN, path);
  VkShaderModuleCreateInfo module_info = {
      VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, .codeSize = bytes, .pCode = words};
  VkShaderModule module;
  demand(vkCreateShaderModule(device, &module_info, NULL, &module), path);
  VkComputePipelineCreateInfo pipeline_info = {
      VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
      .flags = VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR |
               VK_PIPELINE_CREATE_CAPTURE_INTERNAL_REPRESENTATIONS_BIT_KHR,
      .stage = {VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO, .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                .module = module, .pName = ENTRY_POINT},
      .layout = layout};
  VkPipeline pipeline;
  VkResult made = vkCreateComputePipelines(device, VK_NULL_HANDLE, 1, &pipeline_info, NULL, &pipeline);
  printf("{\"file\":\"%s\"", path);
  if (made == VK_SUCCESS) {
    VkPipelineInfoKHR info = {VK_STRUCTURE_TYPE_PIPELINE_INFO_KHR, .pipeline = pipeline};
    uint32_t one = 1;
    VkPipelineExecutablePropertiesKHR properties = {VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_PROPERTIES_KHR};
    get_properties(device, &info, &one, &properties);
    printf(",\"subgroup\":%u", properties.subgroupSize);
    VkPipelineExecutableInfoKHR of = {VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR, .pipeline = pipeline};
    print_statistics(&of);
    write_assembly(&of, path);
    vkDestroyPipeline(device, pipeline, NULL);
  } else {
    printf(",\"error\":%d", made);
  }
  puts("}");
  vkDestroyShaderModule(device, module, NULL);
  free(words);
}

int main(int count, char **arguments) {
  open_device();
  make_layout();
  for (int i = 1; i < count; i++) compile(arguments[i]);
  return 0;
}

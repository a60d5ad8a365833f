// What of a model an adapter's config targets.
#ifndef PEFT_CC_ADAPTERS_TARGET_SITE_H_
#define PEFT_CC_ADAPTERS_TARGET_SITE_H_

#include <string>

namespace peft {

// A site that is targeted.
struct TargetSite {
  int site = -1;  // index into SiteTable::sites()
  std::string
      name;  // as the trained model called it, for the config's patterns
  // The module that its tensors have in the file, in this model's terms.
  std::string file_module;
  bool is_parameter = false;  // by target_parameters
  int num_sites = 1;          // a parameter's experts, from `site` on
  float factor = 1;           // of all that the method adds there
};

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_TARGET_SITE_H_

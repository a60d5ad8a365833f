// Any safetensors file with a good config: it loads or fails, and what loaded
// makes a plan that reads no foreign memory.
#include <cstdint>
#include <string>
#include <vector>

#include "peft_cc/adapters/adapter.h"
#include "peft_cc/adapters/plan.h"
#include "peft_cc/adapters/tiny_model.h"
#include "peft_cc/tensors/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const peft::SiteTable* const sites =
      new peft::SiteTable(peft::TinySites());
  auto file = peft::ParseSafetensors({{data, size}, nullptr}, "fuzz");
  if (!file.ok()) return 0;
  peft::AdapterConfig config =
      peft::MakeLoraConfig({"q_proj", "v_proj", "embed_tokens"});
  config.targets.bias = peft::BiasMode::kAll;
  peft::AdapterLoadOptions options;
  options.lenient = true;
  const auto loaded = peft::BuildAdapter(*sites, "fuzz", std::move(config),
                                         std::move(file->tensors), options);
  if (!loaded.ok()) return 0;
  const auto plan = *peft::Plan::Create(*sites, {{{loaded->adapter, 1}}});
  for (size_t i = 0; i < sites->sites().size(); ++i) {
    if (sites->sites()[i].kind == peft::SiteKind::kNorm) continue;
    peft::SiteOutput(*sites, *plan, static_cast<int>(i));
  }
  return 0;
}

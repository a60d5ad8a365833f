// A model as data: its modules and weights under transformers' names, and the
// operations of its forward in order, over a small vocabulary. Executors run
// it; offloading, device maps and inspection read names, sizes and the order
// of use from it.
//
// A forward runs the operations [0, head_begin) for all rows, then [head_begin,
// ops.size()) for the rows whose logits are asked for. A row is one token of
// one sequence. Buffers are (rows, width) of f32; which one holds what never
// changes, so that an executor can lay them out once.
#ifndef PEFT_CC_MODELS_DESCRIPTION_H_
#define PEFT_CC_MODELS_DESCRIPTION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/nn.h"
#include "peft_cc/adapters/site.h"
#include "peft_cc/models/decoder_config.h"

namespace peft {

// The vocabulary. Every executor runs all of them; a new family should need
// few more.
enum class OpKind {
  kEmbed,            // output = table[ids], adapted; site
  kRmsNorm,          // output = norm(input) * weight; weight
  kLinear,           // output = adapted linear of input; site
  kRope,             // rotates input in place, heads of head_dim
  kAttention,        // appends input2 (keys) and input3 (values) to the cache
                     // of `layer`, output = attention of input (queries)
  kGatedActivation,  // output = act(input) * input2; output may be input
  kAdd,              // output += input
};

// What an operation does not use is -1.
struct Op {
  OpKind kind = OpKind::kEmbed;
  int layer = -1;  // decoder layer; -1: before or after them
  int input = -1;  // buffers
  int input2 = -1;
  int input3 = -1;
  int output = -1;
  int site = -1;    // index into Description::sites
  int weight = -1;  // index into Description::weights: that of a norm
};

// Where activations are between operations.
struct BufferInfo {
  std::string name;
  int64_t width = 0;
};

// A layer with weights. Adapters may attach to it.
struct SiteInfo {
  std::string name;  // transformers' module name
  SiteKind kind = SiteKind::kLinear;
  int64_t in_features = 0;
  int64_t out_features = 0;
  int weight = -1;  // index into Description::weights
  int bias = -1;    // the same; -1: none
};

// A tensor of the base model. Its bytes are those of the file's dtype, which
// BaseModel::weights() knows; its size here is in elements.
struct WeightInfo {
  std::string name;  // "model.layers.0.self_attn.q_proj.weight"
  std::vector<int64_t> shape;
  int site = -1;
  int layer = -1;     // decoder layer; -1: before or after them
  int first_use = 0;  // index of the first operation that reads it
};

// Immutable once built. All cross references are indexes into its vectors.
struct Description {
  std::vector<Op> ops;
  int head_begin = 0;
  std::vector<BufferInfo> buffers;
  int hidden_buffer = -1;  // what the head reads
  int logits_buffer = -1;
  std::vector<SiteInfo> sites;            // in module order
  std::vector<WeightInfo> weights;        // in module order
  std::vector<std::string> module_names;  // as named_modules() lists them
  int tied_weight = -1;  // lm_head's weight, where the config ties it
  int tied_to = -1;      // the embedding's weight then
  int num_layers = 0;
};

// The description of a decoder of any family that ParseDecoderConfig reads.
Description DescribeDecoder(const DecoderConfig& config);

}  // namespace peft

#endif  // PEFT_CC_MODELS_DESCRIPTION_H_

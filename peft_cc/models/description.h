// A model as data: its modules and weights under transformers' names, and the
// operations of its forward in order, over a small vocabulary. Executors run
// it; offloading, device maps and inspection read names, sizes and the order
// of use from it.
//
// A forward runs the operations [0, head_begin) for all rows. What follows runs
// for the rows that something is asked of: [head_begin, logits_begin) makes
// last_hidden_state of hidden_buffer, [logits_begin, ops.size()) makes
// pooler_output and logits of that. A row is one token of one sequence. Buffers
// are (rows, width) of f32; which one holds what never changes, so that an
// executor can lay them out once.
#ifndef PEFT_CC_MODELS_DESCRIPTION_H_
#define PEFT_CC_MODELS_DESCRIPTION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/nn.h"
#include "peft_cc/adapters/site.h"

namespace peft {

// The vocabulary. Every executor runs all of them; a new family should need
// few more.
enum class OpKind {
  kEmbed,            // output = table[indexes], adapted; site, source
  kRmsNorm,          // output = norm(input) * weight; site, epsilon
  kLayerNorm,        // output = norm(input) * weight + bias; site, epsilon
  kLinear,           // output = adapted linear of input; site
  kRope,             // rotates input in place, heads of attention.head_dim
  kAttention,        // output = attention of input (queries) to input2 (keys)
                     // and input3 (values); a causal one appends these to the
                     // cache of `layer` and reads them there
  kActivation,       // output = act(input); output may be input
  kGatedActivation,  // output = act(input) * input2; output may be input
  kAdd,              // output += input
};

// What an embedding is indexed with.
enum class TokenSource { kIds, kPositions, kTokenTypes };

// What an operation does not use is -1 or the default.
struct Op {
  OpKind kind = OpKind::kEmbed;
  int layer = -1;  // -1: before or after the layers
  int input = -1;  // buffers
  int input2 = -1;
  int input3 = -1;
  int output = -1;
  int site = -1;  // index into Description::sites
  TokenSource source = TokenSource::kIds;
  // Left out where a forward gives no token types.
  bool needs_token_types = false;
  kernels::Activation activation = kernels::Activation::kSilu;
  float epsilon = 0.0f;
  kernels::AttentionShape attention;  // kAttention; kRope: head_dim only
};

// Where activations are between operations.
struct BufferInfo {
  std::string name;
  int64_t width = 0;
  // The buffer that this one is columns of, from `offset` on; -1: of its own.
  int parent = -1;
  int64_t offset = 0;
};

// A layer with weights. Adapters may attach to it.
struct SiteInfo {
  std::string name;  // transformers' module name
  SiteKind kind = SiteKind::kLinear;
  int64_t in_features = 0;
  int64_t out_features = 0;
  int weight = -1;  // index into Description::weights
  int bias = -1;    // the same; -1: none
  bool is_output_embedding = false;
  // The head that a classifier has on top: its own "score" or "classifier".
  bool is_classifier = false;
};

// A tensor of the base model. Its bytes are those of the file's dtype, which
// BaseModel::weights() knows; its size here is in elements.
struct WeightInfo {
  std::string name;  // "model.layers.0.self_attn.q_proj.weight"
  std::vector<int64_t> shape;
  int site = -1;
  int layer = -1;     // -1: before or after the layers
  int first_use = 0;  // index of the first operation that reads it
  // Another name that the tensor has in files; "": none.
  std::string alias;
};

// Of which token of a sequence the head makes its one row of logits.
enum class Pooling {
  kNone,            // of every one: a row each
  kFirst,           // BERT's
  kLastNonPadding,  // the last that is not the padding token; see session.h
};

// Immutable once built. All cross references are indexes into its vectors.
struct Description {
  std::vector<Op> ops;
  int head_begin = 0;
  int logits_begin = 0;
  std::vector<BufferInfo> buffers;
  int hidden_buffer = -1;  // what the head reads
  int last_hidden_buffer = -1;
  int pooler_buffer = -1;  // -1: there is no pooler
  int logits_buffer = -1;  // -1: a bare model
  Pooling pooling = Pooling::kNone;
  std::vector<SiteInfo> sites;            // in module order
  std::vector<WeightInfo> weights;        // in module order
  std::vector<std::string> module_names;  // as named_modules() lists them
  // What stands before the names of the bare model's tensors, "model.". Files
  // of a bare model lack it.
  std::string bare_prefix;
  int tied_weight = -1;  // the head's weight, where the config ties it
  int tied_to = -1;      // the embedding's weight then
  int num_layers = 0;
};

}  // namespace peft

#endif  // PEFT_CC_MODELS_DESCRIPTION_H_

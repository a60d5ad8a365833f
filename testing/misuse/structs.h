// What is done with a struct of the C ABI, by its type.
#ifndef TESTING_MISUSE_STRUCTS_H_
#define TESTING_MISUSE_STRUCTS_H_

#include "peft_c/peft_c.h"

namespace peft {

class Call;

// Draws the fields of a struct that holds its defaults; made of the header.
template <typename Struct>
void Fill(Call& call, Struct& value);

// Reads what the pointers of a struct that the library wrote point to; made of
// the header.
template <typename Struct>
void Read(Call& call, const Struct& value);

// The defaults of a struct; made of the header.
template <typename Struct>
Struct Defaults();

// What the header's types do not say of a struct: the arrays that several
// fields describe together.
template <typename Struct>
void Adjust(Call&, Struct&) {}
template <>
void Adjust(Call& call, peft_tensor_view_t& view);
template <>
void Adjust(Call& call, peft_forward_input_t& input);
template <>
void Adjust(Call& call, peft_generate_options_t& options);
template <>
void Adjust(Call& call, peft_layer_t& layer);
template <>
void Adjust(Call& call, peft_file_t& file);
template <>
void Adjust(Call& call, peft_model_options_t& options);
template <>
void Adjust(Call& call, peft_load_options_t& options);

// The same for what the library wrote.
template <typename Struct>
void AdjustRead(Call&, const Struct&) {}
template <>
void AdjustRead(Call& call, const peft_tensor_view_t& view);

}  // namespace peft

#endif  // TESTING_MISUSE_STRUCTS_H_

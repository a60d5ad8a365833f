#include "peft_c/text.h"

const char* peft_string_data(const peft_string_t* string) {
  return peft::GuardValue("", [&] {
    const auto object = peft::Find(string);
    // The handle keeps what the pointer points to.
    return object == nullptr ? "" : object->c_str();
  });
}

size_t peft_string_size(const peft_string_t* string) {
  return peft::GuardValue(size_t{0}, [&] {
    const auto object = peft::Find(string);
    return object == nullptr ? 0 : object->size();
  });
}

void peft_string_free(peft_string_t* string) {
  peft::FreeHandle("peft_string_free", string);
}

size_t peft_string_list_size(const peft_string_list_t* list) {
  return peft::GuardValue(size_t{0}, [&] {
    const auto object = peft::Find(list);
    return object == nullptr ? 0 : object->size();
  });
}

const char* peft_string_list_get(const peft_string_list_t* list, size_t index) {
  constexpr const char* kNone = nullptr;
  return peft::GuardValue(kNone, [&] {
    const auto object = peft::Find(list);
    if (object == nullptr || index >= object->size()) return kNone;
    return (*object)[index].c_str();
  });
}

void peft_string_list_free(peft_string_list_t* list) {
  peft::FreeHandle("peft_string_list_free", list);
}

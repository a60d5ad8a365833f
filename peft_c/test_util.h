// What the tests of the C ABI share.
#ifndef PEFT_C_TEST_UTIL_H_
#define PEFT_C_TEST_UTIL_H_

#include <memory>
#include <ostream>
#include <string>

#include "gtest/gtest.h"
#include "peft_c/peft_c.h"

namespace peft {

// A status with its texts copied out of it. `code` is PEFT_OK for success.
struct Outcome {
  int32_t code = PEFT_OK;
  std::string id;
  std::string message;
  std::string subject;
  std::string expected;
  std::string found;

  bool ok() const { return code == PEFT_OK; }
};

inline std::ostream& operator<<(std::ostream& out, const Outcome& outcome) {
  return out << outcome.code << " " << outcome.id << ": " << outcome.message;
}

// Copies `status` and frees it.
inline Outcome Take(peft_status_t* status) {
  const Outcome outcome = {
      peft_status_code(status),     peft_status_id(status),
      peft_status_message(status),  peft_status_subject(status),
      peft_status_expected(status), peft_status_found(status)};
  peft_status_free(status);
  return outcome;
}

// Frees a handle at the end of a test.
template <typename Handle, void (*Free)(Handle*)>
struct Freeing {
  void operator()(Handle* handle) const { Free(handle); }
};

template <typename Handle, void (*Free)(Handle*)>
using Owned = std::unique_ptr<Handle, Freeing<Handle, Free>>;

using OwnedTensor = Owned<peft_tensor_t, peft_tensor_free>;
using OwnedStateDict = Owned<peft_state_dict_t, peft_state_dict_free>;
using OwnedModel = Owned<peft_model_t, peft_model_free>;
using OwnedSession = Owned<peft_session_t, peft_session_free>;
using OwnedReport = Owned<peft_load_report_t, peft_load_report_free>;
using OwnedString = Owned<peft_string_t, peft_string_free>;
using OwnedNames = Owned<peft_string_list_t, peft_string_list_free>;
using OwnedResult = Owned<peft_generate_result_t, peft_generate_result_free>;

}  // namespace peft

// The call succeeds; its message is printed otherwise.
#define EXPECT_PEFT_OK(call)                            \
  do {                                                  \
    const ::peft::Outcome outcome = ::peft::Take(call); \
    EXPECT_TRUE(outcome.ok()) << outcome;               \
  } while (false)

#define ASSERT_PEFT_OK(call)                            \
  do {                                                  \
    const ::peft::Outcome outcome = ::peft::Take(call); \
    ASSERT_TRUE(outcome.ok()) << outcome;               \
  } while (false)

// The call fails with the code and the id.
#define EXPECT_PEFT_ERROR(call, wanted_code, wanted_id) \
  do {                                                  \
    const ::peft::Outcome outcome = ::peft::Take(call); \
    EXPECT_EQ(outcome.code, wanted_code) << outcome;    \
    EXPECT_EQ(outcome.id, wanted_id) << outcome;        \
  } while (false)

#endif  // PEFT_C_TEST_UTIL_H_

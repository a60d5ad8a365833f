// Options that the sanitizers' run-time libraries ask the program for. Linked
// into every test; without a sanitizer nobody calls these functions.

extern "C" {

// A report of undefined behaviour is of little use without the way there.
const char* __ubsan_default_options() { return "print_stacktrace=1"; }

// absl::Mutex keeps an identity per thread in memory that it recycles by means
// that the thread sanitizer does not see.
const char* __tsan_default_suppressions() {
  return "race:DoAllocWithArena\n"
         "race:CreateThreadIdentity\n"
         "race:AbslInternalPerThreadSemPost\n";
}

}  // extern "C"

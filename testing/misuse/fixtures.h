// The models and adapters that sequences of calls open.
#ifndef TESTING_MISUSE_FIXTURES_H_
#define TESTING_MISUSE_FIXTURES_H_

#include <string>

namespace peft {

// Copies the folders that sequences open to a new folder below `folder`, and
// makes it the working folder of the process.
void EnterFixtures(const std::string& folder);

}  // namespace peft

#endif  // TESTING_MISUSE_FIXTURES_H_

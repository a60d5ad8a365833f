// Reads lines "pattern TAB path" and prints a line with 1 or 0 for each: does
// the pattern, as the only one allowed, take the path? For
// patterns_oracle_test.py.
#include <iostream>
#include <string>

#include "hub/patterns.h"

int main() {
  std::string line;
  while (std::getline(std::cin, line)) {
    const size_t tab = line.find('\t');
    std::cout << peft::hub::IsWanted(line.substr(tab + 1),
                                     {line.substr(0, tab)}, {})
              << '\n';
  }
}

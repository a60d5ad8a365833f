// Prints the settings that the environment gives, a line each, for
// settings_oracle_test.py.
#include <iostream>

#include "hub/settings.h"

int main() {
  const peft::hub::Settings settings = peft::hub::SettingsFromProcess();
  std::cout << settings.cache_dir << '\n'
            << settings.token_path << '\n'
            << settings.token << '\n'
            << settings.endpoint << '\n'
            << settings.offline << '\n'
            << settings.implicit_token << '\n'
            << settings.symlinks << '\n';
}

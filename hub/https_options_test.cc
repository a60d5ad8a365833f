// How the transport is set up.
#include <map>
#include <string>

#include "gtest/gtest.h"
#include "hub/https_transport.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace hub {
namespace {

TEST(HttpsOptionsTest, AreRefusedOutOfRange) {
  HttpsOptions options;
  options.min_bytes_per_second = -1;
  EXPECT_EQ(ErrorId(HttpsTransport::Create(options).status()),
            error_id::kArgument);
  options = HttpsOptions();
  options.max_header_bytes = 1 << 20;
  EXPECT_FALSE(HttpsTransport::Create(options).ok());
  options = HttpsOptions();
  options.max_idle_ms = -1;
  EXPECT_FALSE(HttpsTransport::Create(options).ok());
}

TEST(HttpsOptionsTest, TakeCertificatesAndProxiesFromTheEnvironment) {
  std::map<std::string, std::string> variables;
  const auto environment = [&](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  };
  variables = {{"REQUESTS_CA_BUNDLE", "/a.pem"}, {"HTTPS_PROXY", "p:1"}};
  HttpsOptions options = HttpsOptionsFrom(environment);
  EXPECT_EQ(options.ca_file, "/a.pem");
  EXPECT_EQ(options.ca_dir, "");
  EXPECT_EQ(options.proxies.https, "p:1");
  variables = {{"REQUESTS_CA_BUNDLE", "/"}};
  EXPECT_EQ(HttpsOptionsFrom(environment).ca_dir, "/");
  variables = {{"REQUESTS_CA_BUNDLE", "/a.pem"}, {"SSL_CERT_DIR", "/b"}};
  options = HttpsOptionsFrom(environment);
  EXPECT_EQ(options.ca_file, "");
  EXPECT_EQ(options.ca_dir, "/b");
  variables["SSL_CERT_FILE"] = "/c.pem";
  EXPECT_EQ(HttpsOptionsFrom(environment).ca_file, "/c.pem");
}

}  // namespace
}  // namespace hub
}  // namespace peft

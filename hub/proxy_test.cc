#include "hub/proxy.h"

#include <map>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace hub {
namespace {

ProxySettings SettingsOf(const std::map<std::string, std::string>& variables) {
  return ProxySettingsFrom([&](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

bool GoesDirectly(const std::string& url, const std::string& no_proxy) {
  const auto proxy =
      ProxyFor(*ParseUrl(url), {"http://p:1", "http://p:1", no_proxy});
  EXPECT_TRUE(proxy.ok()) << proxy.status();
  return proxy.ok() && !proxy->has_value();
}

TEST(ProxySettingsTest, ReadsTheVariablesOfEitherCase) {
  const ProxySettings settings = SettingsOf(
      {{"HTTP_PROXY", "a"}, {"https_proxy", "b"}, {"NO_PROXY", "c"}});
  EXPECT_EQ(settings.http, "a");
  EXPECT_EQ(settings.https, "b");
  EXPECT_EQ(settings.no_proxy, "c");
}

TEST(ProxySettingsTest, TextsGiveASchemeItsProxyAndAllTheRest) {
  const ProxySettings some =
      ProxySettingsOf({"http=http://a", "no=http://b", "nonsense"});
  EXPECT_EQ(some.http, "http://a");
  EXPECT_EQ(some.https, "");
  EXPECT_EQ(some.no_proxy, "");
  const ProxySettings all =
      ProxySettingsOf({"all=http://a", "https=http://u:p=q@b"});
  EXPECT_EQ(all.http, "http://a");
  EXPECT_EQ(all.https, "http://u:p=q@b");
}

TEST(ProxySettingsTest, TheNameInLowerCaseWinsEvenIfItIsEmpty) {
  EXPECT_EQ(SettingsOf({{"HTTPS_PROXY", "a"}, {"https_proxy", "b"}}).https,
            "b");
  EXPECT_EQ(SettingsOf({{"HTTPS_PROXY", "a"}, {"https_proxy", ""}}).https, "");
}

TEST(ProxySettingsTest, AllProxyStandsInForWhatIsNotSet) {
  const ProxySettings settings =
      SettingsOf({{"ALL_PROXY", "a"}, {"HTTP_PROXY", "b"}});
  EXPECT_EQ(settings.http, "b");
  EXPECT_EQ(settings.https, "a");
}

TEST(ProxySettingsTest, AVisitorsHeaderIsNoSetting) {
  EXPECT_EQ(SettingsOf({{"HTTP_PROXY", "a"}, {"REQUEST_METHOD", "GET"}}).http,
            "");
  EXPECT_EQ(SettingsOf({{"http_proxy", "a"}, {"REQUEST_METHOD", "GET"}}).http,
            "a");
}

TEST(ProxyForTest, TakesTheSchemesProxy) {
  const ProxySettings settings = {"http://a:1", "https://b", ""};
  const auto http = ProxyFor(*ParseUrl("http://x/"), settings);
  ASSERT_TRUE(http.ok() && http->has_value());
  EXPECT_EQ((*http)->url.ToString(), "http://a:1/");
  EXPECT_EQ((*http)->authorization, "");
  const auto https = ProxyFor(*ParseUrl("https://x/"), settings);
  ASSERT_TRUE(https.ok() && https->has_value());
  EXPECT_EQ((*https)->url.ToString(), "https://b/");
  EXPECT_FALSE(ProxyFor(*ParseUrl("http://x/"), {})->has_value());
}

TEST(ProxyForTest, DecodesTheUserAndPassword) {
  const Url url = *ParseUrl("https://x/");
  const auto authorization = [&](const std::string& text) {
    const auto proxy = ProxyFor(url, {"", text, ""});
    EXPECT_TRUE(proxy.ok()) << proxy.status();
    return proxy.ok() ? (*proxy)->authorization : "";
  };
  // Of Python's base64.
  EXPECT_EQ(authorization("http://user:pass@p:1/"), "Basic dXNlcjpwYXNz");
  EXPECT_EQ(authorization("user:pass@p"), "Basic dXNlcjpwYXNz");
  EXPECT_EQ(authorization("http://user@p"), "Basic dXNlcjo=");
  EXPECT_EQ(authorization("http://a%40b:c%3a%zz@p"), "Basic YUBiOmM6JXp6");
  EXPECT_EQ(authorization("http://u:p/q@r#s@p"), "Basic dTpwL3FAciNz");
}

TEST(ProxyForTest, RefusesOtherProxiesWithoutNamingAPassword) {
  for (const std::string text :
       {"socks5://u:secret@p:1", "http://u:secret@", "http://u:secret@p:x",
        "http://u:sec/secret@p q", "http://:secret@[::1"}) {
    const auto proxy = ProxyFor(*ParseUrl("https://x/"), {"", text, ""});
    ASSERT_FALSE(proxy.ok()) << text;
    EXPECT_EQ(ErrorId(proxy.status()), error_id::kHubUrl);
    EXPECT_FALSE(absl::StrContains(proxy.status().message(), "secret"))
        << proxy.status();
  }
}

TEST(NoProxyTest, ADomainCoversWhatIsBelowIt) {
  EXPECT_TRUE(GoesDirectly("https://a.b/", "a.b"));
  EXPECT_TRUE(GoesDirectly("https://x.A.b/", "other, A.B ,"));
  EXPECT_FALSE(GoesDirectly("https://xa.b/", "a.b"));
  EXPECT_FALSE(GoesDirectly("https://b/", "a.b"));
}

TEST(NoProxyTest, ASuffixCoversOnlyWhatIsBelowIt) {
  for (const std::string rule : {".a.b", "*.a.b"}) {
    EXPECT_TRUE(GoesDirectly("https://x.a.b/", rule));
    EXPECT_FALSE(GoesDirectly("https://a.b/", rule));
    EXPECT_FALSE(GoesDirectly("https://xa.b/", rule));
  }
}

TEST(NoProxyTest, AStarCoversAll) {
  EXPECT_TRUE(GoesDirectly("https://a.b/", "x,*"));
  EXPECT_FALSE(GoesDirectly("https://a.b/", ""));
  EXPECT_FALSE(GoesDirectly("https://a.b/", " , ,"));
}

TEST(NoProxyTest, LocalhostCoversNothingElse) {
  EXPECT_TRUE(GoesDirectly("http://localhost:8080/", "localhost"));
  EXPECT_FALSE(GoesDirectly("http://a.localhost/", "localhost"));
}

TEST(NoProxyTest, AddressesAreComparedAsAddresses) {
  EXPECT_TRUE(GoesDirectly("http://10.0.0.1/", "10.0.0.1"));
  EXPECT_FALSE(GoesDirectly("http://10.0.0.10/", "10.0.0.1"));
  EXPECT_TRUE(GoesDirectly("http://[2001:db8:0::1]/", "2001:db8::1"));
  EXPECT_TRUE(GoesDirectly("http://[::1]/", "[::1]"));
  EXPECT_FALSE(GoesDirectly("http://1.10.0.0.1/", "10.0.0.1"));
}

TEST(NoProxyTest, NetworksCoverTheirAddresses) {
  EXPECT_TRUE(GoesDirectly("http://10.255.0.1/", "10.0.0.0/8"));
  EXPECT_FALSE(GoesDirectly("http://11.0.0.1/", "10.0.0.0/8"));
  EXPECT_TRUE(GoesDirectly("http://192.168.7.9/", "192.168.4.0/22"));
  EXPECT_FALSE(GoesDirectly("http://192.168.8.1/", "192.168.4.0/22"));
  EXPECT_TRUE(GoesDirectly("http://1.2.3.4/", "0.0.0.0/0"));
  EXPECT_FALSE(GoesDirectly("http://[::1]/", "0.0.0.0/0"));
  EXPECT_TRUE(GoesDirectly("http://[fd12::1]/", "fd00::/8"));
  EXPECT_TRUE(GoesDirectly("http://10.0.0.1/", "10.0.0.1/32"));
  for (const std::string rule : {"10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/",
                                 "10.0.0.0/x", "/8", "a/8", "fd00::/129"}) {
    EXPECT_FALSE(GoesDirectly("http://10.0.0.1/", rule)) << rule;
  }
  EXPECT_FALSE(GoesDirectly("http://name/", "0.0.0.0/0"));
}

TEST(NoProxyTest, APortMustBeTheUrls) {
  EXPECT_TRUE(GoesDirectly("http://a.b:8080/", "a.b:8080"));
  EXPECT_TRUE(GoesDirectly("https://a.b/", "a.b:443"));
  EXPECT_FALSE(GoesDirectly("http://a.b/", "a.b:8080"));
  EXPECT_TRUE(GoesDirectly("http://[::1]:81/", "[::1]:81"));
  EXPECT_FALSE(GoesDirectly("http://[::1]:82/", "[::1]:81"));
  EXPECT_FALSE(GoesDirectly("http://a.b/", "a.b:x"));
}

}  // namespace
}  // namespace hub
}  // namespace peft

#include "hub/http_message.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/text_bytes.h"

namespace peft {
namespace hub {
namespace {

bool IsToken(absl::string_view text) {
  constexpr absl::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
           absl::StrContains(kMarks, c);
  });
}

bool IsFieldValue(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return c == '\t' || !absl::ascii_iscntrl(static_cast<unsigned char>(c));
  });
}

// The values are secret.
absl::Status CheckField(absl::string_view name, absl::string_view value) {
  if (!IsToken(name)) {
    return ArgumentError(absl::StrCat("\"", absl::CHexEscape(name),
                                      "\" can be no name of a header field"));
  }
  for (const absl::string_view ours :
       {"Host", "Connection", "Transfer-Encoding", "Content-Length"}) {
    if (absl::EqualsIgnoreCase(name, ours)) {
      return ArgumentError(absl::StrCat("the header field ", ours,
                                        " is the transport's; leave it out"));
    }
  }
  if (IsFieldValue(value)) return absl::OkStatus();
  return ArgumentError(absl::StrCat("the header field ", name,
                                    " holds a control character, as a line's "
                                    "end; expected one line of text"));
}

}  // namespace

std::string HostAndPort(const Url& url) {
  const bool is_ipv6 = absl::StrContains(url.host, ':');
  return absl::StrCat(is_ipv6 ? "[" : "", url.host, is_ipv6 ? "]" : "", ":",
                      url.port);
}

absl::StatusOr<std::string> RequestText(const HttpRequest& request,
                                        const Url& url,
                                        absl::string_view target) {
  if (request.method != "GET" && request.method != "HEAD") {
    return ArgumentError(absl::StrCat("the method is \"",
                                      absl::CHexEscape(request.method),
                                      "\", expected GET or HEAD"));
  }
  const bool is_default = url.port == (url.scheme == "https" ? 443 : 80);
  std::string host = HostAndPort(url);
  if (is_default) host.resize(host.rfind(':'));
  std::string text = absl::StrCat(request.method, " ", target,
                                  " HTTP/1.1\r\nHost: ", host, "\r\n");
  for (const auto& [name, value] : request.fields) {
    PEFT_RETURN_IF_ERROR(CheckField(name, value));
    absl::StrAppend(&text, name, ": ", value, "\r\n");
  }
  return absl::StrCat(text, "\r\n");
}

absl::Status Converse(absl::string_view text, ByteStream* stream,
                      ResponseReader* reader, Wait* wait, SpeedLimit* speed) {
  wait->Begin("sending the request");
  PEFT_RETURN_IF_ERROR(stream->Write(BytesOf(text), *wait));
  wait->Begin("the answer");
  while (!reader->is_done()) {
    const bool in_body = reader->is_header_done();
    if (in_body) wait->Begin("the next part of the answer");
    const auto begin = Wait::Clock::now();
    PEFT_ASSIGN_OR_RETURN(const size_t size,
                          stream->Read(reader->space(), *wait));
    if (size == 0) return reader->CommitEnd();
    PEFT_RETURN_IF_ERROR(reader->Commit(size));
    if (in_body && !reader->is_done()) {
      PEFT_RETURN_IF_ERROR(speed->Add(size, Wait::Clock::now() - begin));
    }
  }
  return absl::OkStatus();
}

}  // namespace hub
}  // namespace peft

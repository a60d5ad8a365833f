#include "hub/response_reader.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "boost/beast/http/basic_parser.hpp"
#include "boost/beast/http/error.hpp"
#include "hub/gzip.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/text_bytes.h"

namespace peft {
namespace hub {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;

constexpr size_t kBufferSize = 128 << 10;
// "100 Continue" and the like that may come before the answer.
constexpr int kMaxInterim = 8;

absl::Status BadAnswer(absl::string_view problem) {
  return MakeError(
      absl::StatusCode::kUnavailable, error_id::kHubConnect,
      absl::StrCat("the answer is not HTTP or was damaged: ", problem));
}

std::string ToString(beast::string_view text) {
  return std::string(text.data(), text.size());
}

// Hands the parts of one message on. The first error, ours or a callback's, is
// kept, and the parser is told to stop.
class Parser : public http::basic_parser<false> {
 public:
  Parser(const ResponseReader::Options& options,
         absl::FunctionRef<absl::Status(const HttpResponse&)> on_response,
         BodySink sink)
      : on_response_(on_response), sink_(sink) {
    skip(!options.has_body);
    // Ours is kept in Commit(): Beast's depends on how the bytes are split.
    header_limit(kBufferSize);
    // boost::none, "no limit", is taken for a limit of nothing.
    body_limit(std::numeric_limits<uint64_t>::max());
  }

  const absl::Status& status() const { return status_; }
  bool is_callers_error() const { return is_callers_error_; }
  bool is_interim() const { return response_.status / 100 == 1; }
  const HttpResponse& response() const { return response_; }

  // The body is complete.
  absl::Status Finish() {
    if (gzip_ == nullptr || !got_body_) return absl::OkStatus();
    return gzip_->Finish();
  }

 private:
  using Code = beast::error_code;

  void Stop(absl::Status status, Code& code) {
    status_ = std::move(status);
    code = http::error::bad_value;
  }

  void StopUnlessOk(absl::Status status, Code& code) {
    if (!status.ok()) Stop(std::move(status), code);
  }

  absl::Status CallersStatus(absl::Status status) {
    is_callers_error_ = !status.ok();
    return status;
  }

  void on_request_impl(http::verb, beast::string_view, beast::string_view, int,
                       Code&) override {}

  void on_response_impl(int code, beast::string_view, int, Code&) override {
    response_.status = code;
  }

  // Fields behind a chunked body come here as well, and are dropped.
  void on_field_impl(http::field, beast::string_view name,
                     beast::string_view value, Code& code) override {
    if (header_done_) return;
    response_.fields.emplace_back(ToString(name), ToString(value));
    const auto& [field, text] = response_.fields.back();
    if (absl::EqualsIgnoreCase(field, "Transfer-Encoding") &&
        !absl::EqualsIgnoreCase(text, "chunked")) {
      Stop(BadAnswer("a Transfer-Encoding other than chunked"), code);
    }
  }

  void on_header_impl(Code& code) override {
    header_done_ = true;
    if (response_.status == 101 || response_.status < 100) {
      return Stop(BadAnswer(absl::StrCat("status ", response_.status)), code);
    }
    if (is_interim()) return;
    StopUnlessOk(CallersStatus(on_response_(response_)), code);
  }

  void on_body_init_impl(const boost::optional<uint64_t>&,
                         Code& code) override {
    const std::string encoding =
        absl::AsciiStrToLower(FindField(response_.fields, "Content-Encoding"));
    if (encoding == "gzip" || encoding == "x-gzip") {
      gzip_ = std::make_unique<GzipDecoder>();
    } else if (!encoding.empty() && encoding != "identity") {
      Stop(BadAnswer("a Content-Encoding other than gzip, unasked"), code);
    }
  }

  size_t on_body_impl(beast::string_view body, Code& code) override {
    if (body.empty()) return 0;
    got_body_ = true;
    StopUnlessOk(HandOn(BytesOf({body.data(), body.size()})), code);
    return body.size();
  }

  void on_chunk_header_impl(uint64_t, beast::string_view, Code&) override {}

  size_t on_chunk_body_impl(uint64_t, beast::string_view body,
                            Code& code) override {
    return on_body_impl(body, code);
  }

  void on_finish_impl(Code& code) override { StopUnlessOk(Finish(), code); }

  absl::Status HandOn(absl::Span<const uint8_t> bytes) {
    const auto sink = [this](absl::Span<const uint8_t> part) {
      return CallersStatus(sink_(part));
    };
    return gzip_ == nullptr ? sink(bytes) : gzip_->Put(bytes, sink);
  }

  absl::FunctionRef<absl::Status(const HttpResponse&)> on_response_;
  BodySink sink_;
  HttpResponse response_;
  std::unique_ptr<GzipDecoder> gzip_;
  bool got_body_ = false;
  bool header_done_ = false;
  absl::Status status_;
  bool is_callers_error_ = false;
};

}  // namespace

class ResponseReader::Impl {
 public:
  Impl(const Options& options,
       absl::FunctionRef<absl::Status(const HttpResponse&)> on_response,
       BodySink sink)
      : options_(options),
        on_response_(on_response),
        sink_(sink),
        buffer_(kBufferSize) {
    StartMessage();
  }

  Parser& parser() { return *parser_; }
  const Parser& parser() const { return *parser_; }
  size_t held() const { return held_; }
  bool has_begun() const { return has_begun_; }

  absl::Span<uint8_t> space() { return absl::MakeSpan(buffer_).subspan(held_); }

  absl::Status Commit(size_t size) {
    has_begun_ = has_begun_ || size > 0;
    held_ += size;
    size_t used = 0;
    while (used < held_ && !parser_->is_done()) {
      const bool in_header = !parser_->is_header_done();
      const size_t left = options_.max_header_bytes - header_bytes_;
      size_t size_now = held_ - used;
      if (in_header) size_now = std::min(size_now, left);
      parser_->eager(!in_header);
      beast::error_code code;
      const size_t taken = parser_->put(
          boost::asio::const_buffer(buffer_.data() + used, size_now), code);
      used += taken;
      if (in_header) header_bytes_ += taken;
      if (code == http::error::need_more) {
        if (in_header && size_now == left) return HeaderTooLong();
        break;
      }
      if (code) return ErrorOf(code);
      if (parser_->is_done() && parser_->is_interim()) {
        PEFT_RETURN_IF_ERROR(NextMessage());
      }
    }
    std::memmove(buffer_.data(), buffer_.data() + used, held_ - used);
    held_ -= used;
    if (held_ == buffer_.size() && !parser_->is_done()) {
      return BadAnswer("the line before a chunk does not end");
    }
    return absl::OkStatus();
  }

  absl::Status CommitEnd() {
    if (!parser_->got_some()) {
      return MakeError(absl::StatusCode::kUnavailable, error_id::kHubConnect,
                       "the server closed the connection without an answer");
    }
    beast::error_code code;
    parser_->put_eof(code);
    if (code == http::error::partial_message) {
      return MakeError(absl::StatusCode::kUnavailable, error_id::kHubConnect,
                       "the server closed the connection in the middle of the "
                       "answer");
    }
    return code ? ErrorOf(code) : absl::OkStatus();
  }

 private:
  absl::Status ErrorOf(const beast::error_code& code) const {
    if (!parser_->status().ok()) return parser_->status();
    return BadAnswer(code.message());
  }

  absl::Status HeaderTooLong() const {
    return BadAnswer(absl::StrCat("its header is longer than ",
                                  options_.max_header_bytes, " bytes"));
  }

  void StartMessage() {
    header_bytes_ = 0;
    parser_ = std::make_unique<Parser>(options_, on_response_, sink_);
  }

  absl::Status NextMessage() {
    if (++interim_ > kMaxInterim) {
      return BadAnswer("too many interim answers");
    }
    StartMessage();
    return absl::OkStatus();
  }

  const Options options_;
  absl::FunctionRef<absl::Status(const HttpResponse&)> on_response_;
  BodySink sink_;
  std::unique_ptr<Parser> parser_;
  // The first held_ bytes came and are not yet taken by the parser.
  std::vector<uint8_t> buffer_;
  size_t held_ = 0;
  bool has_begun_ = false;
  // Of this message's header, as far as the parser took it.
  size_t header_bytes_ = 0;
  int interim_ = 0;
};

ResponseReader::ResponseReader(
    const Options& options,
    absl::FunctionRef<absl::Status(const HttpResponse&)> on_response,
    BodySink sink)
    : impl_(std::make_unique<Impl>(options, on_response, sink)) {}

ResponseReader::~ResponseReader() = default;

absl::Span<uint8_t> ResponseReader::space() { return impl_->space(); }

absl::Status ResponseReader::Commit(size_t size) { return impl_->Commit(size); }

absl::Status ResponseReader::CommitEnd() { return impl_->CommitEnd(); }

bool ResponseReader::has_begun() const { return impl_->has_begun(); }

bool ResponseReader::is_header_done() const {
  const Parser& parser = impl_->parser();
  return parser.is_header_done() && !parser.is_interim();
}

bool ResponseReader::is_done() const { return impl_->parser().is_done(); }

bool ResponseReader::is_callers_error() const {
  return impl_->parser().is_callers_error();
}

bool ResponseReader::may_keep_connection() const {
  return is_done() && impl_->held() == 0 && impl_->parser().keep_alive();
}

const HttpResponse& ResponseReader::response() const {
  return impl_->parser().response();
}

}  // namespace hub
}  // namespace peft

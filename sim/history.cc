#include "troupe/sim/history.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "troupe/runtime/json_text.h"

namespace troupe::sim {
namespace {

constexpr size_t kTextMax = 64 << 10;
constexpr size_t kArgumentsMax = 16;

const char* Word(Outcome outcome) {
  switch (outcome) {
    case Outcome::kOk:
      return "ok";
    case Outcome::kRefused:
      return "refused";
    case Outcome::kUnknown:
      return "unknown";
  }
  return "?";
}

// Reads one line: an object of texts, whole numbers and lists of texts.
class LineReader {
 public:
  explicit LineReader(std::string_view text) : rest_(text) {}

  absl::StatusOr<Operation> Read() {
    Operation out;
    if (!Take('{')) return Wrong("expected {");
    if (!Take('}')) {
      do {
        if (absl::Status member = Member(out); !member.ok()) return member;
      } while (Take(','));
      if (!Take('}')) return Wrong("expected , or }");
    }
    if (!End()) return Wrong("expected the end of the line");
    if (out.call.empty() || !has_outcome_) return Wrong("call and outcome have to be there");
    const bool ended = out.outcome != Outcome::kUnknown;
    if (ended && (!returned_ || out.returned < out.invoked)) {
      return Wrong("returned has to be there and not before invoked");
    }
    return out;
  }

 private:
  static absl::Status Wrong(const char* what) { return absl::InvalidArgumentError(what); }
  void SkipSpace() {
    while (!rest_.empty() && (rest_[0] == ' ' || rest_[0] == '\t' || rest_[0] == '\r')) {
      rest_.remove_prefix(1);
    }
  }
  bool End() {
    SkipSpace();
    return rest_.empty();
  }
  bool Take(char c) {
    SkipSpace();
    if (rest_.empty() || rest_[0] != c) return false;
    rest_.remove_prefix(1);
    return true;
  }

  absl::Status Member(Operation& out) {
    std::string name;
    if (absl::Status s = Text(name); !s.ok()) return s;
    if (!Take(':')) return Wrong("expected :");
    if (name == "client") return Text(out.client);
    if (name == "object") return Text(out.object);
    if (name == "call") return Text(out.call);
    if (name == "result") return Text(out.result);
    if (name == "args") return Texts(out.arguments);
    if (name == "invoked") return Number(out.invoked);
    if (name == "returned") {
      returned_ = true;
      return Number(out.returned);
    }
    if (name == "outcome") return ReadOutcome(out.outcome);
    return Skip();
  }
  absl::Status ReadOutcome(Outcome& out) {
    std::string word;
    if (absl::Status s = Text(word); !s.ok()) return s;
    has_outcome_ = true;
    for (Outcome outcome : {Outcome::kOk, Outcome::kRefused, Outcome::kUnknown}) {
      out = outcome;
      if (word == Word(outcome)) return absl::OkStatus();
    }
    return Wrong("outcome is ok, refused or unknown");
  }
  absl::Status Skip() {
    SkipSpace();
    std::string text;
    std::vector<std::string> texts;
    int64_t number;
    if (!rest_.empty() && rest_[0] == '"') return Text(text);
    if (!rest_.empty() && rest_[0] == '[') return Texts(texts);
    return Number(number);
  }
  absl::Status Number(int64_t& out) {
    SkipSpace();
    auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), out);
    if (error != std::errc()) return Wrong("expected a whole number");
    rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
    return absl::OkStatus();
  }
  absl::Status Texts(std::vector<std::string>& out) {
    if (!Take('[')) return Wrong("expected [");
    if (Take(']')) return absl::OkStatus();
    do {
      if (out.size() == kArgumentsMax) return Wrong("a list is too long");
      if (absl::Status s = Text(out.emplace_back()); !s.ok()) return s;
    } while (Take(','));
    return Take(']') ? absl::OkStatus() : Wrong("expected , or ]");
  }
  absl::Status Text(std::string& out) {
    if (!Take('"')) return Wrong("expected a text");
    while (!rest_.empty() && rest_[0] != '"') {
      if (out.size() >= kTextMax) return Wrong("a text is too long");
      if (rest_[0] == '\\') {
        if (absl::Status s = Escape(out); !s.ok()) return s;
        continue;
      }
      out += rest_[0];
      rest_.remove_prefix(1);
    }
    return Take('"') ? absl::OkStatus() : Wrong("a text has no end");
  }
  absl::Status Escape(std::string& out) {
    static constexpr std::string_view kShort = "\"\\/bfnrt";
    static constexpr std::string_view kMeant = "\"\\/\b\f\n\r\t";
    if (rest_.size() < 2) return Wrong("a text has no end");
    const char kind = rest_[1];
    rest_.remove_prefix(2);
    if (const size_t at = kShort.find(kind); at != std::string_view::npos) {
      out += kMeant[at];
      return absl::OkStatus();
    }
    unsigned code = 0;
    if (kind != 'u' || rest_.size() < 4) return Wrong("an escape that is not known");
    auto [end, error] = std::from_chars(rest_.data(), rest_.data() + 4, code, 16);
    if (error != std::errc() || end != rest_.data() + 4) return Wrong("an escape is not \\uXXXX");
    rest_.remove_prefix(4);
    if (code >= 0x80) return Wrong("write what is not ASCII as itself");
    out += static_cast<char>(code);
    return absl::OkStatus();
  }

  std::string_view rest_;
  bool has_outcome_ = false;
  bool returned_ = false;
};

}  // namespace

std::string Describe(const Operation& operation) {
  auto us = [](int64_t ns) { return absl::StrCat(static_cast<double>(ns) / 1000, "us"); };
  const bool known = operation.outcome == Outcome::kOk;
  return absl::StrCat(
      operation.client, " ", operation.call, "(", absl::StrJoin(operation.arguments, ","), ")",
      known ? absl::StrCat(" = ", operation.result) : absl::StrCat(" ", Word(operation.outcome)),
      " [", us(operation.invoked), ", ",
      operation.outcome == Outcome::kUnknown ? "..." : us(operation.returned), "]");
}

int64_t History::Moment(absl::Time now) {
  last_ = std::max(last_ + 1, absl::ToUnixNanos(now));
  return last_;
}

History::Number History::Invoke(absl::Time now, std::string client, std::string object,
                                std::string call, std::vector<std::string> arguments) {
  Operation& operation = operations_.emplace_back();
  operation.client = std::move(client);
  operation.object = std::move(object);
  operation.call = std::move(call);
  operation.arguments = std::move(arguments);
  operation.invoked = Moment(now);
  return operations_.size() - 1;
}

void History::Return(absl::Time now, Number number, std::string result) {
  Operation& operation = operations_[number];
  operation.returned = Moment(now);
  operation.outcome = Outcome::kOk;
  operation.result = std::move(result);
}

void History::Refuse(absl::Time now, Number number) {
  operations_[number].returned = Moment(now);
  operations_[number].outcome = Outcome::kRefused;
}

std::map<std::string, std::vector<Operation>> History::ByObject() const {
  std::map<std::string, std::vector<Operation>> out;
  for (const Operation& operation : operations_) out[operation.object].push_back(operation);
  return out;
}

std::string History::ToJsonLines() const {
  std::string out;
  for (const Operation& op : operations_) {
    std::vector<std::string> arguments;
    for (const std::string& argument : op.arguments) arguments.push_back(QuotedJson(argument));
    absl::StrAppend(&out, "{\"client\":", QuotedJson(op.client),
                    ",\"object\":", QuotedJson(op.object), ",\"call\":", QuotedJson(op.call),
                    ",\"args\":[", absl::StrJoin(arguments, ","), "],\"invoked\":", op.invoked);
    if (op.outcome != Outcome::kUnknown) absl::StrAppend(&out, ",\"returned\":", op.returned);
    absl::StrAppend(&out, ",\"outcome\":\"", Word(op.outcome), "\"");
    if (op.outcome == Outcome::kOk) absl::StrAppend(&out, ",\"result\":", QuotedJson(op.result));
    out += "}\n";
  }
  return out;
}

absl::StatusOr<History> History::FromJsonLines(std::string_view text) {
  History out;
  size_t number = 0;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    auto operation = LineReader(line).Read();
    if (!operation.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("history, line ", number, ": ", std::string(operation.status().message())));
    }
    out.last_ = std::max({out.last_, operation->invoked, operation->returned});
    out.operations_.push_back(*std::move(operation));
  }
  std::stable_sort(out.operations_.begin(), out.operations_.end(),
                   [](const Operation& a, const Operation& b) { return a.invoked < b.invoked; });
  return out;
}

}  // namespace troupe::sim

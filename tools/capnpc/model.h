// Model: what the generated code of one schema file consists of, in C++ terms.
//
// Filled by the Analysis, written out by HeaderText() and InlineText(). Names of types are as they
// are written in the generated code: relative to the file's namespace, or from "::".
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace troupe::capnpc {

enum class Kind {
  kScalar,  // Numbers, bool, enums: get and set.
  kBytes,   // Text and data: std::string.
  kValue,   // A small struct: Money::Value.
  kRef,     // An actor: Account::Ref.
  kReader,  // All else, read where it lies.
  kAny,     // The same, of no type that the schema tells.
};

struct Field {
  std::string name;      // "first_name"
  std::string accessor;  // "FirstName", of getFirstName().
  Kind kind = Kind::kScalar;
  std::string type;           // "uint64_t", "std::string", "Money::Value", "Money::Reader"
  std::string initial;        // C++ initialiser; empty: none is needed.
  std::string default_value;  // For callers that leave it out; empty: they cannot.
};

// A struct of plain fields: Money::Value, or the results of a method.
struct ValueStruct {
  std::string type;   // "Money", the Cap'n Proto struct.
  std::string path;   // "Money::Value" or "Account::BalanceReply", as a definition begins.
  std::string local;  // "Value" or "BalanceReply".
  std::string doc;
  std::vector<Field> fields;
  bool converts = false;  // Has Read() and Write().
};

enum class Results {
  kNone,
  kOne,      // One plain field.
  kReply,    // Several: a struct of their own.
  kWhole,    // A plain struct that the schema names.
  kBuilder,  // Anything else.
};

struct Method {
  std::string schema_name;  // "deposit"
  std::string name;         // "Deposit"
  std::string doc;
  std::vector<std::string> remarks;  // What annotations say, for the reader.
  uint64_t interface_id = 0;
  uint16_t ordinal = 0;
  bool read_only = false;
  bool stream = false;        // Returns stream.
  uint32_t deadline_ms = 0;   // 0: none of its own.
  std::string params_struct;  // "Account::DepositParams"
  bool params_whole = false;  // The schema names a struct: params has one field, which is it.
  bool in_place = false;      // Some parameter is not plain.
  std::vector<Field> params;
  std::string results_struct;  // "Account::DepositResults"
  Results results = Results::kNone;
  std::vector<Field> result_fields;
  std::string result_type;  // "uint64_t", "Account::BalanceReply"; empty for kNone and kBuilder.
};

struct Interface {
  bool streams() const {
    return std::any_of(methods.begin(), methods.end(), [](const Method& m) { return m.stream; });
  }

  std::string type;  // "Account"
  std::string path;  // The same, as a definition begins: never from "::".
  std::string name;  // "Account", without its scopes.
  std::string doc;
  std::string state;                 // Empty: none.
  std::vector<Method> methods;       // Inherited ones too, those first.
  std::vector<std::string> parents;  // That are actors: "Named".
};

// To be declared within a struct of x.capnp.h.
struct Declarations {
  std::string type;  // "Account", relative to the namespace.
  std::string name;  // Its last part.
  std::vector<std::string> lines;
};

struct File {
  std::string schema;                   // "bank.capnp", as it is compiled.
  std::vector<std::string> namespaces;  // Outermost first.
  std::vector<std::string> includes;    // Of other files' generated code, with quotes or brackets.
  std::vector<ValueStruct> values;      // Each after those that it holds.
  std::vector<ValueStruct> replies;
  std::vector<Interface> interfaces;  // Each after those that it extends.
  std::vector<Declarations> declarations;
};

}  // namespace troupe::capnpc

// Analysis, part two: types.
#include <cctype>
#include <cmath>
#include <cstdio>

#include "analysis.h"
#include "annotations.h"
#include "names.h"

namespace troupe::capnpc {
namespace {

using Type = capnp::schema::Type::Reader;

const char* ScalarName(Type type) {
  switch (type.which()) {
    case capnp::schema::Type::BOOL:
      return "bool";
    case capnp::schema::Type::INT8:
      return "int8_t";
    case capnp::schema::Type::INT16:
      return "int16_t";
    case capnp::schema::Type::INT32:
      return "int32_t";
    case capnp::schema::Type::INT64:
      return "int64_t";
    case capnp::schema::Type::UINT8:
      return "uint8_t";
    case capnp::schema::Type::UINT16:
      return "uint16_t";
    case capnp::schema::Type::UINT32:
      return "uint32_t";
    case capnp::schema::Type::UINT64:
      return "uint64_t";
    case capnp::schema::Type::FLOAT32:
      return "float";
    case capnp::schema::Type::FLOAT64:
      return "double";
    default:
      return nullptr;
  }
}

bool IsBranded(capnp::schema::Brand::Reader brand) { return brand.getScopes().size() > 0; }

bool IsGeneric(Type type) {
  switch (type.which()) {
    case capnp::schema::Type::LIST:
      return IsGeneric(type.getList().getElementType());
    case capnp::schema::Type::STRUCT:
      return IsBranded(type.getStruct().getBrand());
    case capnp::schema::Type::INTERFACE:
      return IsBranded(type.getInterface().getBrand());
    case capnp::schema::Type::ANY_POINTER:
      return !type.getAnyPointer().isUnconstrained();
    default:
      return false;
  }
}

std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte >= 0x7f || c == '?') {  // Three octal digits end by themselves.
      char octal[5];
      std::snprintf(octal, sizeof octal, "\\%03o", byte);
      out += octal;
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string Real(double value) {
  if (std::isnan(value)) return "std::numeric_limits<double>::quiet_NaN()";
  if (std::isinf(value)) {
    return std::string(value < 0 ? "-" : "") + "std::numeric_limits<double>::infinity()";
  }
  char text[40];
  std::snprintf(text, sizeof text, "%.17g", value);
  return text;
}

std::string Whole(int64_t value) {
  return value == INT64_MIN ? "INT64_MIN" : std::to_string(value);
}

// "darkBlue": "DARK_BLUE". One that this schema does not know has no name.
std::string EnumerantName(const Node& enumeration, uint16_t value) {
  const auto enumerants = enumeration.getEnum().getEnumerants();
  if (value >= enumerants.size()) return "";
  std::string out;
  for (char c :
       NameOrRenamed(enumerants[value].getName().cStr(), enumerants[value].getAnnotations())) {
    if (std::isupper(static_cast<unsigned char>(c)) != 0) out.push_back('_');
    out.push_back(static_cast<char>(std::toupper(static_cast<unsigned char>(c))));
  }
  return out;
}

// `enumeration`: of an enum's value. As C++; empty where it cannot be written, or is zero.
std::string Literal(capnp::schema::Value::Reader value, const std::string& type,
                    const Node& enumeration) {
  switch (value.which()) {
    case capnp::schema::Value::BOOL:
      return value.getBool() ? "true" : "";
    case capnp::schema::Value::INT8:
      return value.getInt8() == 0 ? "" : Whole(value.getInt8());
    case capnp::schema::Value::INT16:
      return value.getInt16() == 0 ? "" : Whole(value.getInt16());
    case capnp::schema::Value::INT32:
      return value.getInt32() == 0 ? "" : Whole(value.getInt32());
    case capnp::schema::Value::INT64:
      return value.getInt64() == 0 ? "" : Whole(value.getInt64());
    case capnp::schema::Value::UINT8:
      return value.getUint8() == 0 ? "" : std::to_string(value.getUint8());
    case capnp::schema::Value::UINT16:
      return value.getUint16() == 0 ? "" : std::to_string(value.getUint16());
    case capnp::schema::Value::UINT32:
      return value.getUint32() == 0 ? "" : std::to_string(value.getUint32()) + "u";
    case capnp::schema::Value::UINT64:
      return value.getUint64() == 0 ? "" : std::to_string(value.getUint64()) + "u";
    case capnp::schema::Value::FLOAT32:
      return value.getFloat32() == 0 ? "" : Real(static_cast<double>(value.getFloat32()));
    case capnp::schema::Value::FLOAT64:
      return value.getFloat64() == 0 ? "" : Real(value.getFloat64());
    case capnp::schema::Value::ENUM:
      if (value.getEnum() == 0) return "";
      return type + "::" + EnumerantName(enumeration, value.getEnum());
    case capnp::schema::Value::TEXT: {
      const auto text = value.getText();
      return text.size() == 0 ? "" : Quoted({text.begin(), text.size()});
    }
    default:
      return "";
  }
}

}  // namespace

// ---- Names

std::string Analysis::TypeName(Type type) {
  if (const char* scalar = ScalarName(type)) return scalar;
  switch (type.which()) {
    case capnp::schema::Type::VOID:
      return "::capnp::Void";
    case capnp::schema::Type::TEXT:
      return "::capnp::Text";
    case capnp::schema::Type::DATA:
      return "::capnp::Data";
    case capnp::schema::Type::ENUM:
      return NameOf(schema_.Get(type.getEnum().getTypeId()));
    case capnp::schema::Type::STRUCT:
      return NameOf(schema_.Get(type.getStruct().getTypeId()));
    case capnp::schema::Type::INTERFACE:
      return NameOf(schema_.Get(type.getInterface().getTypeId()));
    case capnp::schema::Type::LIST:
      return "::capnp::List<" + TypeName(type.getList().getElementType()) + ">";
    default:
      break;
  }
  if (type.isAnyPointer() && type.getAnyPointer().isUnconstrained()) {
    const auto any = type.getAnyPointer().getUnconstrained();
    if (any.isStruct()) return "::capnp::AnyStruct";
    if (any.isList()) return "::capnp::AnyList";
  }
  return "::capnp::AnyPointer";
}

// Nothing for a field without content. Only of types that are Sendable.
std::optional<Field> Analysis::FieldOf(Node owner, std::string_view member,
                                       capnp::schema::Field::Reader field) {
  const auto type = field.getSlot().getType();
  if (type.isVoid()) return std::nullopt;
  const std::string name = NameOrRenamed(field.getName().cStr(), field.getAnnotations());
  if (IsGeneric(type)) {
    schema_.Complain(owner, member,
                     "`" + name +
                         "` has a type with parameters; of an actor's method "
                         "it cannot: write out the struct that is meant");
    return std::nullopt;
  }
  Field out;
  out.name = SnakeCase(name);
  out.accessor = Pascal(name);
  out.type = TypeName(type);
  if (ScalarName(type) != nullptr || type.isEnum()) {
    out.kind = Kind::kScalar;
    out.initial = type.isBool() ? "false" : type.isEnum() ? "{}" : "0";
  } else if (type.isText() || type.isData()) {
    out.kind = Kind::kBytes;
    out.type = "std::string";
  } else if (type.isInterface()) {
    Include(schema_.Get(type.getInterface().getTypeId()));
    out.kind = Kind::kRef;
    out.type += "::Ref";
  } else if (type.isStruct() && IsValue(schema_.Get(type.getStruct().getTypeId()))) {
    NeedValue(schema_.Get(type.getStruct().getTypeId()));
    out.kind = Kind::kValue;
    out.type += "::Value";
  } else {
    out.kind = type.isAnyPointer() && type.getAnyPointer().getUnconstrained().isAnyKind()
                   ? Kind::kAny
                   : Kind::kReader;
    out.type += "::Reader";
  }
  SetDefault(field.getSlot(), out);
  return out;
}

void Analysis::SetDefault(capnp::schema::Field::Slot::Reader slot, Field& out) const {
  if (out.kind != Kind::kScalar && out.kind != Kind::kBytes) return;
  const auto type = slot.getType();
  const Node enumeration = type.isEnum() ? schema_.Get(type.getEnum().getTypeId()) : Node();
  const auto literal = Literal(slot.getDefaultValue(), out.type, enumeration);
  if (!literal.empty()) out.initial = literal;
  if (!slot.getHadExplicitDefault() || type.isData()) return;
  out.default_value = !literal.empty() ? literal : out.kind == Kind::kBytes ? "\"\"" : out.initial;
}

// ---- What can be in a message

bool Analysis::SendableStruct(Node node, std::set<uint64_t>& seen, std::string& why) const {
  if (!seen.insert(node.getId()).second) return true;
  for (auto field : node.getStruct().getFields()) {
    const bool group = !field.isSlot();
    if (group ? !SendableStruct(schema_.Get(field.getGroup().getTypeId()), seen, why)
              : !Sendable(field.getSlot().getType(), seen, why)) {
      if (why.starts_with("is ")) {
        why = "holds `" + std::string(field.getName().cStr()) + "`, which " + why;
      }
      return false;
    }
  }
  return true;
}

bool Analysis::Sendable(Type type, std::set<uint64_t>& seen, std::string& why) const {
  switch (type.which()) {
    case capnp::schema::Type::LIST:
      return Sendable(type.getList().getElementType(), seen, why);
    case capnp::schema::Type::STRUCT:
      return SendableStruct(schema_.Get(type.getStruct().getTypeId()), seen, why);
    case capnp::schema::Type::INTERFACE: {
      const Node node = schema_.Get(type.getInterface().getTypeId());
      if (IsActor(node)) return true;
      const auto name = schema_.ShortName(node);
      why = "is a capability of " + name +
            ", which is no actor: only refs of actors can be sent and kept. Give " + name +
            " the annotation $Troupe.actor, or pass a key";
      return false;
    }
    case capnp::schema::Type::ANY_POINTER:
      if (!type.getAnyPointer().isUnconstrained() ||
          !type.getAnyPointer().getUnconstrained().isCapability()) {
        return true;
      }
      why =
          "is a capability of any type: only refs of actors can be sent and kept. Name an "
          "interface with $Troupe.actor";
      return false;
    default:
      return true;
  }
}

// ---- Structs

bool Analysis::Plain(Node node, int& fields, std::set<uint64_t>& within) const {
  if (!node.isStruct() || node.getIsGeneric() || !within.insert(node.getId()).second) return false;
  if (node.getStruct().getDiscriminantCount() > 0) return false;
  const bool here = schema_.FileOf(node).getId() == requested_.getId();
  if (!here && Find(node.getAnnotations(), annotation::kValue).times == 0) return false;
  for (auto field : node.getStruct().getFields()) {
    if (!field.isSlot()) return false;
    const auto type = field.getSlot().getType();
    if (type.isList() || type.isAnyPointer()) return false;
    if (type.isInterface() && !IsActor(schema_.Get(type.getInterface().getTypeId()))) return false;
    ++fields;
    if (type.isStruct() && !Plain(schema_.Get(type.getStruct().getTypeId()), fields, within)) {
      return false;
    }
  }
  within.erase(node.getId());
  return true;
}

bool Analysis::IsValue(Node node) const {
  int fields = 0;
  std::set<uint64_t> within;
  const bool asked = Find(node.getAnnotations(), annotation::kValue).times > 0;
  return Plain(node, fields, within) && (asked || fields <= kValueFieldsMax);
}

ValueStruct& Analysis::NeedValue(Node node) {
  static ValueStruct nothing;
  if (schema_.FileOf(node).getId() != requested_.getId()) {
    Include(node);
    return nothing;
  }
  if (auto it = values_.find(node.getId()); it != values_.end()) return out_.values[it->second];
  ValueStruct value{
      NameOf(node), Relative(node) + "::Value", "Value", schema_.DocOf(node.getId()), {}, true};
  if (value.doc.empty()) value.doc = schema_.ShortName(node) + " as a value.";
  if (!IsValue(node)) return nothing;  // Complained of by CheckNode.
  for (auto field : node.getStruct().getFields()) {
    if (auto made = FieldOf(node, field.getName().cStr(), field)) value.fields.push_back(*made);
  }
  Declare(node, "struct Value;", "Value");
  values_[node.getId()] = out_.values.size();
  out_.values.push_back(std::move(value));
  return out_.values.back();
}

}  // namespace troupe::capnpc

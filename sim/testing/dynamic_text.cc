#include "troupe/testing/dynamic_text.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "troupe/actors/ref.h"

namespace troupe::testing {
namespace {

constexpr uint64_t kWordsMax = 4096;

struct Writer {
  const ActorNamer& name;
  const ListOrder order;

  std::string Any(capnp::DynamicValue::Reader value) const {
    switch (value.getType()) {
      case capnp::DynamicValue::STRUCT:
        return Struct(value.as<capnp::DynamicStruct>());
      case capnp::DynamicValue::LIST:
        return List(value.as<capnp::DynamicList>());
      case capnp::DynamicValue::CAPABILITY:
        return Ref(value.as<capnp::DynamicCapability>());
      default:
        return kj::str(value).cStr();
    }
  }

  std::string Struct(capnp::DynamicStruct::Reader value) const {
    std::vector<std::string> fields;
    auto add = [&](capnp::StructSchema::Field field) {
      fields.push_back(
          absl::StrCat(field.getProto().getName().cStr(), " = ", Any(value.get(field))));
    };
    for (auto field : value.getSchema().getNonUnionFields()) {
      if (value.has(field)) add(field);
    }
    KJ_IF_MAYBE (which, value.which()) add(*which);
    return absl::StrCat("(", absl::StrJoin(fields, ", "), ")");
  }

  std::string List(capnp::DynamicList::Reader value) const {
    std::vector<std::string> elements;
    for (auto element : value) elements.push_back(Any(element));
    if (order == ListOrder::kSorted) std::sort(elements.begin(), elements.end());
    return absl::StrCat("[", absl::StrJoin(elements, ", "), "]");
  }

  std::string Ref(capnp::DynamicCapability::Client value) const {
    auto hook = capnp::ClientHook::from(kj::mv(value));
    const ActorId* actor = FindActor(*hook);
    return actor == nullptr ? "a capability" : name(*actor);
  }
};

}  // namespace

std::string TextOf(capnp::DynamicStruct::Reader value, const ActorNamer& name, ListOrder order) {
  return Writer{name, order}.Struct(value);
}

std::string TextOf(capnp::AnyPointer::Reader value, capnp::StructSchema schema,
                   const ActorNamer& name, ListOrder order) {
  const auto words = value.targetSize().wordCount;
  if (words > kWordsMax) return absl::StrCat("(", words * 8, " bytes)");
  return TextOf(value.getAs<capnp::DynamicStruct>(schema), name, order);
}

}  // namespace troupe::testing

// Analysis, part three: annotations and names that are used wrongly.
#include <algorithm>
#include <map>

#include "analysis.h"
#include "annotations.h"
#include "names.h"

namespace troupe::capnpc {
namespace {

struct Named {
  uint64_t id;
  const char* name;
};

constexpr Named kOurs[] = {
    {annotation::kActor, "actor"},       {annotation::kReadOnly, "readOnly"},
    {annotation::kDeadline, "deadline"}, {annotation::kIdleTimeout, "idleTimeout"},
    {annotation::kValue, "value"},       {annotation::kReentrant, "reentrant"},
    {annotation::kDurable, "durable"},   {annotation::kResumable, "resumable"}};

// What an actor class and a ref have already; and what their own names would be.
constexpr const char* kReserved[] = {
    "Actor",      "Ref",          "Save",           "Load",      "Tell",
    "OnActivate", "OnReminder",   "OnDeactivate",   "OnNotice",  "Resume",
    "Attach",     "Self",         "Task",           "Dispatch",  "UnknownMethod",
    "SaveState",  "LoadState",    "ActorInterface", "Interface", "ToString",
    "With",       "WithDeadline", "WithMetadata",   "Client",    "Server"};

// The same of streams, in a writer.
constexpr const char* kReservedInWriter[] = {"Writer", "Done", "NewStreamCall", "SendStreamCall"};

}  // namespace

bool Analysis::OfAnActor(Node interface) const {
  if (IsActor(interface)) return true;
  for (const auto& [id, node] : schema_.nodes()) {
    if (!node.isInterface()) continue;
    for (auto parent : node.getInterface().getSuperclasses()) {
      if (parent.getId() == interface.getId() && OfAnActor(node)) return true;
    }
  }
  return false;
}

void Analysis::CheckAnnotations() {
  for (auto node : InFile(&Node::isInterface)) CheckNode(node);
  for (auto node : InFile(&Node::isStruct)) CheckNode(node);
}

void Analysis::Once(Node node, std::string_view member, Annotations annotations) {
  const std::string name = member.empty() ? schema_.ShortName(node) : std::string(member);
  for (const auto& ours : kOurs) {
    const int times = Find(annotations, ours.id).times;
    if (times < 2) continue;
    schema_.Complain(node, member,
                     "$Troupe." + std::string(ours.name) + " is given " + std::to_string(times) +
                         " times for `" + name + "`");
  }
}

void Analysis::CheckDuration(Node node, std::string_view member, Annotations annotations,
                             uint64_t id, const char* name) {
  const auto found = Find(annotations, id);
  if (found.times == 0) return;
  const uint32_t ms = found.value.getStruct().getAs<schema::Duration>().getMilliseconds();
  const std::string whose = "$Troupe." + std::string(name) + " of `" +
                            (member.empty() ? schema_.ShortName(node) : std::string(member)) +
                            "` is ";
  if (ms == 0) {
    schema_.Complain(node, member, whose + "zero; write $Troupe." + name + "(milliseconds = 5000)");
  }
  if (id == annotation::kDeadline && ms > kDeadlineMaxMs) {
    schema_.Complain(node, member,
                     whose + std::to_string(ms) + " ms; at most " + std::to_string(kDeadlineMaxMs) +
                         " ms, 5 minutes, are possible");
  }
}

void Analysis::CheckNode(Node node) {
  const auto annotations = node.getAnnotations();
  const std::string name = schema_.ShortName(node);
  Once(node, "", annotations);
  if (node.isStruct()) {
    if (Find(annotations, annotation::kValue).times > 0 && !IsValue(node)) {
      schema_.Complain(node, "",
                       "$Troupe.value of " + name +
                           ": a value has no lists, unions, groups, type parameters or fields of "
                           "any type, and no structs with such or from files where they have no "
                           "$Troupe.value");
    }
    return;
  }
  CheckDuration(node, "", annotations, annotation::kIdleTimeout, "idleTimeout");
  if (Find(annotations, annotation::kIdleTimeout).times > 0 && !IsActor(node)) {
    schema_.Complain(node, "",
                     "$Troupe.idleTimeout of " + name + ", which is no actor: add $Troupe.actor");
  }
  const bool durable = Find(annotations, annotation::kDurable).times > 0;
  if (durable && !IsActor(node)) {
    schema_.Complain(node, "",
                     "$Troupe.durable of " + name + ", which is no actor: add $Troupe.actor");
  } else if (durable && StateOf(node).empty()) {
    schema_.Complain(node, "",
                     "$Troupe.durable of " + name +
                         ", whose actors keep nothing: name their state with $Troupe.actor(state = "
                         "...), or remove it");
  }
  for (auto method : node.getInterface().getMethods()) {
    const std::string member = method.getName().cStr();
    const auto of_method = method.getAnnotations();
    Once(node, member, of_method);
    CheckDuration(node, member, of_method, annotation::kDeadline, "deadline");
    if (Find(of_method, annotation::kResumable).times > 0 &&
        Find(of_method, annotation::kReadOnly).times > 0) {
      schema_.Complain(node, member,
                       "$Troupe.resumable of `" + member +
                           "`: a $Troupe.readOnly method keeps nothing to go on with. Remove one");
    }
    for (const auto& ours : kOurs) {
      const bool counts = ours.id == annotation::kReadOnly || ours.id == annotation::kDeadline ||
                          ours.id == annotation::kResumable || ours.id == annotation::kReentrant;
      if (!counts || Find(of_method, ours.id).times == 0 || OfAnActor(node)) continue;
      schema_.Complain(node, member,
                       "$Troupe." + std::string(ours.name) + " of `" + member + "`: interface " +
                           name + " is no actor, nor does one extend it. Add $Troupe.actor");
    }
  }
}

// Of methods, and of the parameters of each, in the actor class and in the ref.
void Analysis::CheckNames(Node node, const Interface& interface) {
  std::map<std::string, std::string> taken;
  for (const char* reserved : kReserved) taken[reserved] = "";
  auto take = [&](const std::string& name, const Method& method) {
    auto [it, fresh] = taken.emplace(name, method.schema_name);
    if (fresh) return;
    const bool here = method.interface_id == node.getId();
    schema_.Complain(
        node, here ? method.schema_name : "",
        "method `" + method.schema_name + "` would be generated as " + name + "(), which " +
            (it->second.empty() ? "is there already" : "method `" + it->second + "` is too") +
            ": rename it, or give it another C++ name with $Cxx.name");
  };
  for (const auto& method : interface.methods) {
    take(method.name, method);
    if (method.in_place) take(method.name + "With", method);
    for (const char* reserved : kReservedInWriter) {
      if (!method.stream || method.name != reserved) continue;
      schema_.Complain(node, method.interface_id == node.getId() ? method.schema_name : "",
                       "stream `" + method.schema_name + "` would be generated as " + method.name +
                           "() of a Writer, which is there already: rename it, or give it another "
                           "C++ name with $Cxx.name");
    }
    std::map<std::string, bool> names;
    for (const auto* fields : {&method.params, &method.result_fields}) {
      names.clear();
      for (const auto& field : *fields) {
        if (names.emplace(field.name, true).second) continue;
        schema_.Complain(node, method.schema_name,
                         "two parameters or results of `" + method.schema_name +
                             "` would both be `" + field.name + "`: rename one");
      }
    }
  }
}

}  // namespace troupe::capnpc

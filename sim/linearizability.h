// Linearizability: whether the operations on one actor can have happened one after another, each
// between its invocation and its return, as a model says.
//
// Pure; not thread-safe. Bounded: after `steps_max` tries or `states_max` remembered states it
// gives up, which says nothing either way. An operation of unknown outcome may take effect at any
// time after its invocation, or never.
// Sources: Wing and Gong, "Testing and Verifying Concurrent Objects", 1993; Lowe, "Testing for
// Linearizability", 2017 (remembering what was tried).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "troupe/sim/history.h"

namespace troupe::sim {

enum class Model : uint8_t {
  kCounter,   // add(by) = the new value; get() = the value; bump(by) and erase(), which makes it 0
              // again, tell nothing. Whole numbers, 0 at first.
  kRegister,  // read() = the value; write(v); cas(expected, v) = true or false. "" at first.
  kList,      // append(x) = nothing, or the new length; list() = all, joined by commas. Empty.
  kQueue,     // push(x); pop() = the oldest, "" when there is none. Empty at first.
};

struct LinearizabilityLimits {
  uint64_t steps_max = 50'000'000;  // About ten seconds.
  size_t states_max = 4'000'000;    // About 200 MB.
};

enum class Verdict : uint8_t { kLinearizable, kViolation, kGaveUp };

struct Judgement {
  Verdict verdict = Verdict::kLinearizable;
  // Of a violation: the first return after which no order is left, the longest order found before,
  // and why none of what is left comes next. Of a search given up: what bound was met.
  std::string explanation;
  uint64_t steps = 0;
};

// `operations` are all of one object, in any order. What the model cannot read (another call, a
// number that is none) is a violation that says so.
Judgement Judge(Model model, const std::vector<Operation>& operations,
                const LinearizabilityLimits& limits = {});
// Every object of the history; the first that is not linearizable, else the first given up.
Judgement Judge(Model model, const History& history, const LinearizabilityLimits& limits = {});

}  // namespace troupe::sim

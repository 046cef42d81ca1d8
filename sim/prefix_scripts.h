// The scripts of all prefixes (prefixes.h), by what they lead to.
#pragma once

#include "absl/time/time.h"
#include "troupe/sim/prefixes.h"

namespace troupe::sim {

inline constexpr auto kMoment = absl::Milliseconds(40);
inline constexpr auto kDetection = absl::Seconds(6);  // At most, until what died is fenced.

// ---- prefixes_epochs.cc
void IsolateOnce(Stage& s);
void IsolateTwice(Stage& s);
void SleepingPrimary(Stage& s);
void SlowHandoff(Stage& s);
void Handoff(Stage& s);
void WrongVerdicts(Stage& s);

// ---- prefixes_copies.cc
void LastCopy(Stage& s);
void TornStreams(Stage& s);
void LearnerNear(Stage& s);
void BatchesAhead(Stage& s);
void Shrink(Stage& s);
void FastRestart(Stage& s);

// ---- prefixes_voters.cc
void Voters(Stage& s);
void PowerLoss(Stage& s);
void OldCoordinator(Stage& s);
void Founding(Stage& s);

// ---- prefixes_calls.cc
void Rush(Stage& s);
void Repeats(Stage& s);
void Relays(Stage& s);
void LateFrames(Stage& s);

}  // namespace troupe::sim

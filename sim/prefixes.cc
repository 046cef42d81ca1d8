#include "troupe/sim/prefixes.h"

#include "troupe/sim/prefix_scripts.h"

namespace troupe::sim {

const std::vector<Prefix>& AllPrefixes() {
  static const std::vector<Prefix> prefixes = {
      {"isolate", IsolateOnce},
      {"isolate-twice", IsolateTwice},
      {"sleeping-primary", SleepingPrimary},
      {"last-copy", LastCopy},
      {"learner-near", LearnerNear},
      {"handoff", Handoff},
      {"slow-handoff", SlowHandoff},
      {"torn-streams", TornStreams},
      {"batches-ahead", BatchesAhead},
      {"shrink", Shrink},
      {"fast-restart", FastRestart},
      {"wrong-verdicts", WrongVerdicts},
      {"voters", Voters},
      {"power-loss", PowerLoss},
      {"rush", Rush},
      {"repeats", Repeats},
      {"relays", Relays},
      {"late-frames", LateFrames},
      {"old-coordinator", OldCoordinator},
      {"founding", Founding, Prefix::Begins::kFounding},
  };
  return prefixes;
}

}  // namespace troupe::sim

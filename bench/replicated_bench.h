// ReplicatedBench: calls that change one actor on three nodes, beside plain round trips.
#pragma once

#include "report.h"
#include "settings.h"

void RunReplicatedBench(const BenchSettings& settings, Report& report);

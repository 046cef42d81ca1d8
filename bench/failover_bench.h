// FailoverBench: kills of random nodes under load, and how long callers waited at each.
#pragma once

#include "report.h"
#include "settings.h"

void RunFailoverBench(const BenchSettings& settings, Report& report);

// How the nodes of a test end: in order and with exit code 0, and no sanitizer had anything to say.
//
// A sanitizer speaks in the log of its process, and of leaks only when that ends by itself: a test
// that just kills its nodes would pass with all of it unread.
#pragma once

#include <string>
#include <vector>

#include "cluster_processes.h"

// Whether a line of a log is the report of a sanitizer, or of libstdc++'s own checks.
bool IsSanitizerReport(const std::string& line);

// Tells all nodes that run to end (SIGTERM), and waits. A line for each that does not within 40 s,
// for each other exit code, and for each report in the logs: empty is as it should be.
std::vector<std::string> EndNodes(ClusterProcesses& cluster);

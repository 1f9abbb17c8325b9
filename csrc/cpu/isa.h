// Which instruction sets this build and this machine have, and the table in use.
#pragma once
#include <string>
#include <vector>

#include "table.h"

namespace tge {

std::vector<std::string> available_isas();  // those built that this processor can run, the best one last
bool use_isa(const std::string& name);      // false: not available
const Table& kernels();                     // the best available one, unless use_isa() chose another

}  // namespace tge

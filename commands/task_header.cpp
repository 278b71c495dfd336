// SPDX-License-Identifier: GPL-3.0-or-later
#include "commands/task_header.hpp"

namespace kcrash {

Fields task_fields(const Task& task) {
    return {{"pid", cell_or_missing(task.pid)},
            {"task", AddressValue{task.address}},
            {"cpu", cell_or_missing(task.cpu)},
            {"command", cell_or_missing(task.comm)}};
}

} // namespace kcrash

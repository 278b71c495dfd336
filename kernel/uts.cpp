// SPDX-License-Identifier: GPL-3.0-or-later
#include "kernel/uts.hpp"
#include "core/error.hpp"
#include "core/interrupt.hpp"
#include <fmt/format.h>
#include <zlib.h>

namespace kcrash {

KernelNames read_uts(const Target& target) {
    KernelNames names;
    const auto uts = target.symbol_address("init_uts_ns");
    const auto name = target.try_member("uts_namespace", {"name"});
    if (!uts || !name) return names;
    const auto read = [&](std::string_view field) -> std::optional<std::string> {
        const auto member = target.try_member("new_utsname", {field});
        if (!member) return std::nullopt;
        try {
            return target.kernel().string(VirtualAddress(*uts + name->offset + member->offset), member->size);
        } catch (const MemoryError&) {
            return std::nullopt;
        }
    };
    names.node = read("nodename");
    names.release = read("release");
    names.version = read("version");
    names.machine = read("machine");
    return names;
}

std::optional<uint64_t> cpu_kilohertz(const Target& target) {
    uint32_t value = 0;
    const auto address = target.symbol_address("cpu_khz");
    if (!address || target.kernel().try_load(VirtualAddress(*address), value) != Fault::none || value == 0) return std::nullopt;
    return value;
}

std::vector<FirmwareString> read_dmi(const Target& target) {
    const auto table = target.symbol_address("dmi_ident");
    const Type* fields = target.types().find(TypeKind::enumeration, "dmi_field");
    if (!table || !fields) throw LookupError("this kernel keeps no DMI strings (no dmi_ident)");
    std::vector<FirmwareString> strings;
    const unsigned word = target.arch().word_size;
    for (const Enumerator& field : fields->enumerators) {
        if (field.name == "DMI_STRING_MAX") break; // what follows is no index of dmi_ident
        if (field.name == "DMI_NONE" || field.value < 0 || field.value > 255) continue;
        std::byte bytes[8];
        const std::span<std::byte> pointer(bytes, word);
        FirmwareString string{field.name, std::nullopt};
        if (target.kernel().try_read(VirtualAddress(*table + static_cast<uint64_t>(field.value) * word), pointer) == Fault::none) {
            const uint64_t text = load_unsigned(pointer, target.kernel().order());
            if (text == 0) continue;
            try {
                string.value = target.kernel().string(VirtualAddress(text), 256);
            } catch (const MemoryError&) { // stays absent
            }
        }
        strings.push_back(string);
    }
    return strings;
}

// kernel/configs.c: a gzip file between "IKCFG_ST" and "IKCFG_ED". Linux 13610aa90889 ("kernel/configs: use .incbin directive to
// embed config_data.gz"), v5.1: kernel_config_data is the file itself, before it begins with the magic.
std::string read_kernel_config(const Target& target) {
    const auto symbol = target.symbol_address("kernel_config_data");
    if (!symbol) throw LookupError("kernel_config_data does not exist in this kernel");
    uint64_t at = *symbol;
    char magic[8] = {};
    target.kernel().read(VirtualAddress(at), std::as_writable_bytes(std::span(magic)), "kernel_config_data");
    if (std::string_view(magic, 8) == "IKCFG_ST") at += 8;

    z_stream stream{};
    if (inflateInit2(&stream, 15 + 16) != Z_OK) throw Error("zlib cannot be set up"); // 16: a gzip header
    struct End {
        z_stream& stream;
        ~End() { inflateEnd(&stream); }
    } end{stream};
    constexpr uint64_t most = uint64_t{16} << 20; // a configuration is some 200 kB
    std::string text;
    std::vector<std::byte> in(4096);
    std::vector<char> out(65536);
    for (int status = Z_OK; status != Z_STREAM_END && text.size() < most;) {
        check_interrupt();
        const uint64_t n = in.size() - at % in.size();
        target.kernel().read(VirtualAddress(at), std::span(in).first(n), "kernel_config_data");
        at += n;
        stream.next_in = reinterpret_cast<Bytef*>(in.data());
        stream.avail_in = static_cast<uInt>(n);
        while (stream.avail_in > 0 && status != Z_STREAM_END && text.size() < most) {
            stream.next_out = reinterpret_cast<Bytef*>(out.data());
            stream.avail_out = static_cast<uInt>(out.size());
            status = inflate(&stream, Z_NO_FLUSH);
            if (status != Z_OK && status != Z_STREAM_END) throw CorruptError(fmt::format("kernel_config_data at {:#x} does not unpack", *symbol));
            text.append(out.data(), out.size() - stream.avail_out);
        }
    }
    return text;
}

} // namespace kcrash

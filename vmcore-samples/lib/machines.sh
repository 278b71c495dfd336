# The machines that guests run on: everything that differs from one architecture to another, in one place.
#
# use_machine ARCH sets what the rest asks for. ARCH is Debian's name of the architecture; a recipe says it as arch=ARCH.
#
#     machine_packages   what this host needs beside the common tools: QEMU and, for a foreign machine, its compiler
#     qemu_program       and machine_options, what it is always given
#     cpu_of_process     -cpu of the guest that dies by sysrq-c; cpu_of_others of the other guests
#     console            the first serial port, as the kernel names it
#     second_port        the second: a line to the host that is no console. virtio_port: it is a device of the module virtio_console
#     nic                the network card
#     outside_death      what kills the guest that has no crash kernel: nmi, a break and the letter c on the serial line (break), or a process
#                        of its own (alone)
#     last_words         what a guest that dies without a crash kernel says at the end; five seconds later it is dumped where that is not quite the end
#     console_break      what stands for a break on a console that knows none
#     compiler_prefix    of gcc, readelf and objcopy
#     kernel_arch        ARCH= of the kernel's own makefiles; kernel_image, the target; kernel_boot, the file it makes
#     triplet            of the folder of libraries
#     guest_packages     the programs of the guest and its crash kernel
#     prepare_machine    is called before anything is built
#
# To add one: a function here. A recipe may set any of these again after use_machine.

use_machine() {
    arch=$1
    declare -F "machine_$arch" > /dev/null || die "no machine \"$arch\" in lib/machines.sh"
    machine_options=(-smp 4)
    virtio_port=yes
    second_port=hvc0
    nic=virtio-net-pci
    outside_death=break
    console_break=
    last_words='end Kernel panic'
    guest_packages="busybox-static kexec-tools makedumpfile"
    own_compiler=
    prepare_machine=:
    "machine_$arch"
    [ "$arch" = "$(dpkg --print-architecture)" ] || [ -n "$own_compiler" ] || machine_packages+=" gcc-$triplet libc6-dev-$arch-cross"
}

# Each CPU is a socket: the old MP table, which a kernel without ACPI reads, lists one CPU of each.
machine_amd64() {
    machine_packages="qemu-system-x86 seabios ipxe-qemu gcc libc6-dev"
    qemu_program=qemu-system-x86_64
    machine_options=(-smp 4,sockets=4 -device vmcoreinfo)
    cpu_of_process=max        # 5-level paging
    cpu_of_others=max,la57=off
    console=ttyS0
    virtio_port=
    second_port=ttyS1
    outside_death=nmi
    compiler_prefix=
    kernel_arch=x86 kernel_image=bzImage kernel_boot=arch/x86/boot/bzImage
    triplet=x86_64-linux-gnu
}

machine_arm64() {
    machine_packages="qemu-system-arm ipxe-qemu"
    qemu_program=qemu-system-aarch64
    machine_options=(-M virt,gic-version=3 -smp 4 -device vmcoreinfo)
    cpu_of_process=max,pauth-impdef=on # pointer authentication, MTE's and LPA2's registers
    cpu_of_others=cortex-a72
    console=ttyAMA0
    compiler_prefix=aarch64-linux-gnu-
    kernel_arch=arm64 kernel_image=Image kernel_boot=arch/arm64/boot/Image
    triplet=aarch64-linux-gnu
}

# Without highmem a kernel that has no LPAE reaches the PCI bus.
machine_armhf() {
    machine_packages="qemu-system-arm ipxe-qemu"
    qemu_program=qemu-system-arm
    machine_options=(-M virt,highmem=off -smp 4)
    cpu_of_process=cortex-a15
    cpu_of_others=cortex-a15
    console=ttyAMA0
    compiler_prefix=arm-linux-gnueabihf-
    kernel_arch=arm kernel_image=zImage kernel_boot=arch/arm/boot/zImage
    triplet=arm-linux-gnueabihf
}

# The old MP table, as on amd64. The kernel is for the i686, and so is the compiler named.
machine_i386() {
    machine_packages="qemu-system-x86 seabios ipxe-qemu"
    qemu_program=qemu-system-i386
    machine_options=(-smp 4,sockets=4 -device vmcoreinfo)
    cpu_of_process=max
    cpu_of_others=max
    console=ttyS0
    virtio_port=
    second_port=ttyS1
    outside_death=nmi
    compiler_prefix=i686-linux-gnu-
    kernel_arch=i386 kernel_image=bzImage kernel_boot=arch/x86/boot/bzImage
    triplet=i686-linux-gnu
}

# A guest of PowerVM's kind (pseries); its firmware comes with QEMU. The console is the hypervisor's and knows no break. A kernel that
# panics tells the hypervisor before its last words: QEMU pauses.
machine_ppc64el() {
    machine_packages="qemu-system-ppc qemu-system-data"
    qemu_program=qemu-system-ppc64
    machine_options=(-M pseries,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off -smp 4 -action panic=pause)
    last_words='Kernel panic'
    cpu_of_process=power9 # radix page tables
    cpu_of_others=power8  # hashed page tables
    console=hvc0
    second_port=hvc1
    virtio_port=
    console_break='\017' # control-O, drivers/tty/hvc/hvc_console.c
    compiler_prefix=powerpc64le-linux-gnu-
    kernel_arch=powerpc kernel_image=vmlinux kernel_boot=vmlinux
    triplet=powerpc64le-linux-gnu
}

# Its kernel is an EFI program, and bookworm has neither a firmware nor a QEMU for one, nor a compiler: see newer_tools.sh.
machine_loong64() {
    machine_packages="ipxe-qemu clang-19 lld-19"
    machine_options=(-M virt -smp 4)
    cpu_of_process=la464
    cpu_of_others=la464
    console=ttyS0
    guest_packages="busybox-static kexec-tools"
    own_compiler=yes
    prepare_machine=newer_loongarch
    triplet=loongarch64-linux-gnu
}

machine_riscv64() {
    machine_packages="qemu-system-misc opensbi"
    qemu_program=qemu-system-riscv64
    machine_options=(-M virt -smp 4)
    cpu_of_process=rv64
    cpu_of_others=rv64
    console=ttyS0
    compiler_prefix=riscv64-linux-gnu-
    kernel_arch=riscv kernel_image=Image kernel_boot=arch/riscv/boot/Image
    triplet=riscv64-linux-gnu
}

# Its virtio devices are on the channel bus, and the drivers of that are in the kernel. A CPU that has nothing more to do waits with
# interrupts off: QEMU takes that for a panic, and pauses.
machine_s390x() {
    machine_packages="qemu-system-misc"
    qemu_program=qemu-system-s390x
    machine_options=(-smp 4 -action panic=pause)
    cpu_of_process=max
    cpu_of_others=max
    console=ttysclp0
    virtio_port=
    second_port=sclp_line0
    nic=virtio
    outside_death=alone
    last_words='Kernel panic'
    compiler_prefix=s390x-linux-gnu-
    kernel_arch=s390 kernel_image=bzImage kernel_boot=arch/s390/boot/bzImage
    triplet=s390x-linux-gnu
}

# The second serial port of the guest, written to FILE on the host.
second_port_options() {
    if [ -n "$virtio_port" ]; then
        echo "-device virtio-serial-pci -chardev file,id=second,path=$1 -device virtconsole,chardev=second"
    else
        echo "-serial file:$1"
    fi
}

# Modules that the machine itself needs in the guest and in its crash kernel.
machine_modules() {
    [ -z "$virtio_port" ] || echo virtio_console
}

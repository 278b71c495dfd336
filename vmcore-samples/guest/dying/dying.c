// dying: a module in which the kernel dies, in the way that is written to /proc/dying.
//
// Each way has functions of its own on the stack, which are not inlined and do not end in jumps, so that both the kernel's
// trace and a debugger's have something to name.
#include <linux/bottom_half.h>
#include <linux/interrupt.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/smp.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

static noinline void write_to(unsigned long address)
{
	*(volatile int *)address = 1;
	barrier();
}

static noinline void die_null(void)
{
	write_to(8);
	barrier();
}

// Not an address that any page table could map: a general protection fault.
static noinline void die_gp(void)
{
	write_to(0xdead000000000100);
	barrier();
}

static noinline void die_bug(void)
{
	BUG();
}

static noinline void die_warn(void)
{
	WARN(1, "dying: panic_on_warn makes this the end\n");
	barrier();
}

static void (*volatile nowhere)(void);

static noinline void die_wild(void)
{
	nowhere();
	barrier();
}

// Runs into the guard page below the stack: the processor cannot store the registers of the page fault there.
static noinline unsigned int recurse(unsigned int depth)
{
	volatile unsigned char bytes[1024];

	bytes[depth % sizeof(bytes)] = depth;
	if (depth == ~0u)
		return 0;
	return recurse(depth + 1) + bytes[depth / 2 % sizeof(bytes)];
}

static noinline void die_overflow(void)
{
	recurse(0);
	barrier();
}

static void below_softirq(struct tasklet_struct *tasklet)
{
	write_to(8);
	barrier();
}

static DECLARE_TASKLET(tasklet, below_softirq);

// Soft interrupts run where they are allowed again, here: a call changes to the interrupt stack.
static noinline void die_softirq(void)
{
	local_bh_disable();
	tasklet_schedule(&tasklet);
	local_bh_enable();
	barrier();
}

static void below_interrupt(void *unused)
{
	write_to(8);
	barrier();
}

static noinline void interrupt(int cpu)
{
	smp_call_function_single(cpu, below_interrupt, NULL, 1);
	barrier();
}

static noinline void die_user(void)
{
	interrupt(1); // spin_user
	barrier();
}

static noinline void die_kernel(void)
{
	interrupt(2); // spin_kernel
	barrier();
}

static noinline void die_idle(void)
{
	interrupt(3);
	barrier();
}

static void below_worker(struct work_struct *work)
{
	BUG();
}

static DECLARE_WORK(work, below_worker);

static noinline void die_worker(void)
{
	schedule_work(&work);
	flush_work(&work);
	barrier();
}

static const struct {
	const char *name;
	void (*die)(void);
} ways[] = {
	{"null", die_null},	{"gp", die_gp},		  {"bug", die_bug},   {"warn", die_warn},   {"wild", die_wild}, {"overflow", die_overflow},
	{"softirq", die_softirq}, {"user", die_user}, {"kernel", die_kernel}, {"idle", die_idle}, {"worker", die_worker},
};

static ssize_t dying_write(struct file *file, const char __user *text, size_t length, loff_t *offset)
{
	char name[16] = "";
	unsigned int i;

	if (length >= sizeof(name) || copy_from_user(name, text, length))
		return -EINVAL;
	for (i = 0; i < ARRAY_SIZE(ways); i++)
		if (!strcmp(name, ways[i].name))
			ways[i].die();
	return -EINVAL; // it has lived through it
}

static const struct proc_ops dying_ops = {.proc_write = dying_write};

static int __init dying_init(void)
{
	return proc_create("dying", 0200, NULL, &dying_ops) ? 0 : -ENOMEM;
}

module_init(dying_init);
MODULE_LICENSE("GPL");

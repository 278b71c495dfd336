// SPDX-License-Identifier: GPL-3.0-or-later
// One of each kind of type, for compilers of all sorts to describe. Nothing here runs.
typedef unsigned char u8;
typedef u8 byte;
typedef byte octet; // a chain of typedefs
typedef unsigned long long u64;
typedef int row[3]; // a typedef of an array

enum colour { RED, GREEN = 5, BLUE = -7 };
enum wide { LOW = 1, HIGH = 0x80000000u };
enum wider { NARROW, HUGE = 0x123456789abcdefULL };
enum { LONELY = 3, LONELIER };
enum __attribute__((packed)) tiny { ONE = 1, TWO };

struct bits {
    unsigned first : 3;
    unsigned second : 5;
    u64 across : 33;
    signed char negative : 4;
    unsigned : 0;
    _Bool ready : 1;
    enum colour shade : 4;
    unsigned whole : 32;
};

union either {
    long number;
    float real;
    struct { short low, high; };
};

struct node {
    struct node *next, **owner;
    const char *const name;
    volatile int *restrict state;
    union {
        struct { int left, right; };
        u64 both;
        union either inner;
    };
    struct { int key; struct { octet at[2][3]; } value; } table[4];
    int (*call)(struct node *, const void *, ...);
    int (*(*twice)(int))[5];
    void (*handlers[4])(enum colour);
    row rows[2];
    struct unknown *elsewhere; // declared only
    enum { IDLE, BUSY } mode;
    double weight;
    char tail[];
};

struct __attribute__((packed)) tight { u8 a; u64 b; short c : 9; short d : 7; };
struct __attribute__((aligned(64))) roomy { u8 a; int b __attribute__((aligned(16))); };
struct empty {};
typedef struct { int x, y; } point;
typedef struct node *node_pointer;
typedef int (*compare)(const void *, const void *);

struct bits bits;
struct node node;
union either either;
struct tight tight;
struct roomy roomy;
struct empty empty;
point origin;
node_pointer here;
compare order;
enum wide wide;
enum wider wider;
enum tiny tiny;

int inside(void) {
    struct local { int only; point here; } local = {LONELY, {0, 0}};
    typedef struct local own;
    own copy = local;
    return copy.only;
}

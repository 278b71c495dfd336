# GDB as a library for symbols/gdb/: where third_party/gdb/build leaves it, and a target that has it built while our own
# sources compile.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/build)
execute_process(COMMAND ${CMAKE_CURRENT_LIST_DIR}/build where OUTPUT_VARIABLE GDB_FOLDER OUTPUT_STRIP_TRAILING_WHITESPACE
                COMMAND_ERROR_IS_FATAL ANY)
set(GDB_SOURCE ${GDB_FOLDER}/src)
set(GDB_BUILD ${GDB_FOLDER}/build)

# In a folder of its own: were the rule known here, every source above a user of GDB would wait for it. A source that includes
# GDB's headers has OBJECT_DEPENDS on DONE.
add_subdirectory(${CMAKE_CURRENT_LIST_DIR} EXCLUDE_FROM_ALL)

# GDB with what it is made of. Its archive is linked whole: languages, targets and commands register themselves from objects that nobody
# refers to. The archives are not named by path: "ninja clean" would take that as leave to delete them from the cache folder. One
# group, so that GDB's own malloc wrappers come before libiberty's.
set(Python3_ROOT_DIR /usr)   # Debian's, which GDB was built with: another Python in PATH is not meant
set(Python3_FIND_STRATEGY LOCATION)
find_package(Python3 REQUIRED COMPONENTS Development.Embed)
find_package(ZLIB REQUIRED)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(EXPAT REQUIRED IMPORTED_TARGET expat)
set(gdb_archives -Wl,--whole-archive,-l:libgdb.a,--no-whole-archive,--start-group)
foreach(archive ctf opcodes bfd sframe gdbsupport iberty decnumber backtrace gnu)
  string(APPEND gdb_archives ,-l:lib${archive}.a)
endforeach()
add_library(gdb_archives INTERFACE)
target_link_directories(gdb_archives INTERFACE
  ${GDB_BUILD}/gdb ${GDB_BUILD}/opcodes/.libs ${GDB_BUILD}/bfd/.libs ${GDB_BUILD}/libsframe/.libs ${GDB_BUILD}/libiberty
  ${GDB_BUILD}/libctf/.libs ${GDB_BUILD}/gdbsupport ${GDB_BUILD}/libdecnumber ${GDB_BUILD}/libbacktrace/.libs ${GDB_BUILD}/gnulib/import)
target_link_libraries(gdb_archives INTERFACE ${gdb_archives},--end-group PkgConfig::READLINE tinfo Python3::Python PkgConfig::EXPAT
                                             PkgConfig::LZMA PkgConfig::ZSTD ZLIB::ZLIB mpfr gmp xxhash m ${CMAKE_DL_LIBS})

# For the disassembler: libopcodes' headers alone.
add_library(gdb_opcodes INTERFACE)
add_library(gdb::opcodes ALIAS gdb_opcodes)
target_include_directories(gdb_opcodes SYSTEM INTERFACE ${GDB_BUILD}/bfd ${GDB_SOURCE}/include ${GDB_SOURCE}/opcodes)
target_link_libraries(gdb_opcodes INTERFACE $<LINK_ONLY:gdb_archives>)

# For GDB's facade: all of its headers, in GDB's own order.
add_library(gdb_whole INTERFACE)
add_library(gdb::whole ALIAS gdb_whole)
target_include_directories(gdb_whole SYSTEM INTERFACE
  ${GDB_BUILD}/gdb ${GDB_SOURCE}/gdb ${GDB_SOURCE}/gdb/config ${GDB_SOURCE}/include/opcode ${GDB_BUILD}/bfd ${GDB_SOURCE}/bfd
  ${GDB_SOURCE}/include ${GDB_BUILD}/libdecnumber ${GDB_SOURCE}/libdecnumber ${GDB_SOURCE}/gnulib/import
  ${GDB_BUILD}/gnulib/import ${GDB_SOURCE} ${GDB_BUILD})
target_compile_definitions(gdb_whole INTERFACE HAVE_CONFIG_H LOCALEDIR="")
target_link_libraries(gdb_whole INTERFACE $<LINK_ONLY:gdb_archives>)

mod no_such_module
mod -s no_such_module
mod -d no_such_module
mod -s dummy /nonexistent.ko
mod -S /nonexistent
mod -R
mod -g

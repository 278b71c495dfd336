mod
mod dummy
mod -t
mod -d dummy
mod -s dummy
mod -s dummy -g
sym -m dummy
mod
mod -d dummy
mod -D
mod -S
mod -D

// Package lab runs real nodes of this program in processes of their own and
// speaks to them as browsers and other systems do. The measuring and the
// breaking subcommands are built on it.
package lab

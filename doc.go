// Package colloquy is the root of the repository. It holds no code: the program
// is in cmd/colloquy, the way to embed it in package engine, and ARCHITECTURE.md
// says where everything else is. The tests beside this file keep that document
// and the code together.
package colloquy

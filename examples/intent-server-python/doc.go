// Package intentserverpython holds an intent backend in Python, and its test.
package intentserverpython

// Package zoo has trained models in the program itself, so that images can be
// compared with no file at hand.
//
// Names lists them, Load gives one, and Card says what it was trained on, what
// it reaches and what it is not for. Their files were made by the command that
// each card names.
package zoo

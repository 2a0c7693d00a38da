/* A program with a variable of the name that POSIX gives the environment. The options are read all
 * the same: libc keeps the environment under a name of its own. */
char** environ;

int main(void) {
  return environ != 0;
}

/* SPDX-License-Identifier: MPL-2.0 */

/*
 * Opens a shared object at run time and calls it, knowing only the names and
 * the signatures of its functions:
 *
 *     host LIBRARY NAME
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

/* What the host expects of a library. */
struct greeter {
	char *(*greet)(char *name);
	void (*free_greeting)(char *greeting);
	int (*run)(int names);
	long (*greeted)(void);
};

/* Finds a symbol, or says which one is missing and ends the program. */
static void *find(void *library, const char *name)
{
	dlerror(); /* forget older errors: a symbol's value may be NULL */
	void *symbol = dlsym(library, name);
	const char *error = dlerror();
	if (error != NULL) {
		fprintf(stderr, "host: dlsym %s: %s\n", name, error);
		exit(1);
	}
	return symbol;
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: %s LIBRARY NAME\n", argv[0]);
		return 2;
	}
	void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
	if (library == NULL) {
		fprintf(stderr, "host: dlopen: %s\n", dlerror());
		return 1;
	}
	struct greeter g = {
		.greet = (char *(*)(char *))find(library, "Greet"),
		.free_greeting = (void (*)(char *))find(library, "FreeGreeting"),
		.run = (int (*)(int))find(library, "Run"),
		.greeted = (long (*)(void))find(library, "Greeted"),
	};

	char *greeting = g.greet(argv[2]);
	printf("greeting: %s\n", greeting);
	g.free_greeting(greeting);
	printf("goroutines: %d\n", g.run(100));
	printf("greeted: %ld\n", g.greeted());

	/*
	 * No dlclose: a Go runtime cannot be unloaded, its threads would run on in
	 * memory that is gone. glibc keeps the library mapped all the same, since
	 * Go marks it (DF_1_NODELETE), so that dlclose returns 0 and does nothing.
	 */
	return 0;
}

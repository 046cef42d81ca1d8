#include "troupe/actors/main.h"
#include "counter_actor.h"

int main(int argc, char** argv) { return troupe::Main(argc, argv).Host<CounterActor>().Run(); }

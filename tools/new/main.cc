#include "counter_actor.h"
#include "troupe/actors/main.h"

int main(int argc, char** argv) { return troupe::Main(argc, argv).Host<CounterActor>().Run(); }

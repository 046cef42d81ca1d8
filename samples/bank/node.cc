// bank node: hosts the accounts.
#include "account.h"
#include "troupe/actors/main.h"

int main(int argc, char** argv) { return troupe::Main(argc, argv).Host<AccountActor>().Run(); }

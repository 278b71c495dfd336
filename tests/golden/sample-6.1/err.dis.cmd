dis
dis nosuchsymbol
dis 0
dis -rf schedule
dis schedule 0
dis -s linux_banner
dis -r jiffies
dis -u 401000

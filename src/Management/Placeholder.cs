namespace UPool.Management;

internal static class Placeholder;

using System.Globalization;

namespace UPool.Tests;

/// <summary>The seed of random tests: printed, and set with UPOOL_TEST_SEED to repeat a failure.</summary>
internal static class Seed
{
    public const string Variable = "UPOOL_TEST_SEED";

    /// <summary>Makes random tests longer for a deliberate search: UPOOL_TEST_FACTOR.</summary>
    public static int Factor => int.TryParse(Environment.GetEnvironmentVariable("UPOOL_TEST_FACTOR"), out int factor)
        ? factor
        : 1;

    public static uint Next()
    {
        uint seed = uint.TryParse(
            Environment.GetEnvironmentVariable(Variable), NumberStyles.None, CultureInfo.InvariantCulture,
            out uint given)
            ? given
            : (uint)Random.Shared.Next();
        TestContext.Current.TestOutputHelper?.WriteLine($"{Variable}={seed}");
        return seed;
    }
}

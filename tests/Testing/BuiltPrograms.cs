namespace UPool.Testing;

/// <summary>This repository's programs, from the same build as the running program.</summary>
public static class BuiltPrograms
{
    // …/tests/Pool/bin/Release/net10.0
    private static readonly string[] Parts = AppContext.BaseDirectory.TrimEnd('/').Split('/');

    /// <summary>The repository's folder.</summary>
    public static string Root { get; } = string.Join('/', Parts[..^5]);

    /// <summary>The path of a program's assembly, in the running program's configuration: <c>Dll("Silo")</c>.</summary>
    /// <exception cref="FileNotFoundException">The program was not built.</exception>
    public static string Dll(string program) => Dll($"src/{program}", $"UPool.{program}");

    /// <summary>The same for a project in any folder:
    /// <c>Dll("bench/Handwritten", "UPool.Bench.Handwritten")</c>.</summary>
    /// <exception cref="FileNotFoundException">The project was not built.</exception>
    public static string Dll(string folder, string assembly)
    {
        string dll = $"{Root}/{folder}/bin/{Parts[^2]}/{Parts[^1]}/{assembly}.dll";
        return File.Exists(dll) ? dll : throw new FileNotFoundException($"Build the solution first: {dll} is missing.");
    }
}

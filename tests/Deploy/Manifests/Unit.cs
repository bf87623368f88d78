using UPool.Tidy.Tests;

namespace UPool.Deploy.Tests.Manifests;

/// <summary>A systemd unit.</summary>
internal sealed class Unit
{
    public const string Folder = "deploy/systemd";

    private readonly ILookup<string, string> _values;

    private Unit(string file)
    {
        File = Path.GetFileName(file);
        _values = System.IO.File.ReadAllLines(file)
            .Where(line => line.Contains('=') && !line.StartsWith('#'))
            .ToLookup(line => line[..line.IndexOf('=')], line => line[(line.IndexOf('=') + 1)..]);
    }

    /// <summary>All services, without the target.</summary>
    public static IReadOnlyList<Unit> All { get; } =
        [.. Directory.GetFiles(Path.Combine(Repository.Root, Folder), "*.service").Order().Select(f => new Unit(f))];

    public string File { get; }

    /// <summary>The variables that the unit itself sets.</summary>
    public IReadOnlyDictionary<string, string> Environment =>
        _values["Environment"].ToDictionary(one => one[..one.IndexOf('=')], one => one[(one.IndexOf('=') + 1)..]);

    /// <summary>The value of a key that occurs exactly once.</summary>
    public string this[string key] => _values[key].SingleOrDefault()
        ?? throw new InvalidOperationException($"{File} does not have exactly one {key}.");
}

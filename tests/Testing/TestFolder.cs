using System.Diagnostics;

namespace UPool.Testing;

/// <summary>
/// A temporary folder for this process, removed when it ends. A killed process cannot remove its folder, so each
/// process also removes those of processes that have ended.
/// </summary>
internal static class TestFolder
{
    private const string Prefix = "upool-test-";

    private static readonly Lazy<string> Root = new(CreateRoot);

    /// <summary>Returns a new path below the folder; creates nothing.</summary>
    public static string NewPath(string name) => Path.Combine(Root.Value, $"{name}-{Guid.NewGuid():N}");

    /// <summary>Removes a folder; ignores a missing one.</summary>
    public static void Remove(string path)
    {
        try
        {
            Directory.Delete(path, recursive: true);
        }
        catch (DirectoryNotFoundException)
        {
        }
    }

    private static string CreateRoot()
    {
        foreach (var folder in Directory.EnumerateDirectories(Path.GetTempPath(), $"{Prefix}*"))
        {
            RemoveOfTheDead(folder);
        }

        // Short: the server's socket is inside, and a socket's path has at most 108 bytes. Private to this user.
        var root = Directory.CreateTempSubdirectory($"{Prefix}{Environment.ProcessId}-").FullName;
        AppDomain.CurrentDomain.ProcessExit += (_, _) => Remove(root);
        return root;
    }

    private static void RemoveOfTheDead(string folder)
    {
        var name = Path.GetFileName(folder)[Prefix.Length..];
        if (!int.TryParse(name.Split('-')[0], out var processId) || IsAlive(processId))
        {
            return;
        }

        try
        {
            Remove(folder);
        }
        catch (Exception exception) when (exception is UnauthorizedAccessException or IOException)
        {
            // It belongs to another user, or another process removes it at this moment.
        }
    }

    private static bool IsAlive(int processId)
    {
        try
        {
            using var process = Process.GetProcessById(processId);
            return true;
        }
        catch (ArgumentException)
        {
            return false;
        }
    }
}
